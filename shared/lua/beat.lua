-- A worker says that it is alive and warm, and what it is. A version counts as served from when as
-- many are alive as are in the crew of one of them, until none is.
-- KEYS: workers since
-- ARGV: prefix, worker token, for how long it counts as alive (ms), JSON
local workers, since = unpack(KEYS)
local now, ttl_ms = now_ms(), tonumber(ARGV[3])
redis.call('ZADD', workers, now + ttl_ms, ARGV[2])
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
redis.call('PEXPIRE', workers, ttl_ms)
local crew = cjson.decode(ARGV[4]).crew or 1
if redis.call('PEXPIRE', since, ttl_ms) == 0 and redis.call('ZCARD', workers) >= crew then
  redis.call('SET', since, now, 'PX', ttl_ms)
end
redis.call('SET', ARGV[1] .. 'worker:' .. ARGV[2], ARGV[4], 'PX', ttl_ms)
return 1
