-- A worker says that it is alive and warm, and what it is.
-- KEYS: workers since
-- ARGV: prefix, worker token, for how long it counts as alive (ms), JSON
local workers, since = unpack(KEYS)
local now, ttl_ms = now_ms(), tonumber(ARGV[3])
redis.call('ZADD', workers, now + ttl_ms, ARGV[2])
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
redis.call('PEXPIRE', workers, ttl_ms)
if not redis.call('SET', since, now, 'NX', 'PX', ttl_ms) then
  redis.call('PEXPIRE', since, ttl_ms)
end
redis.call('SET', ARGV[1] .. 'worker:' .. ARGV[2], ARGV[4], 'PX', ttl_ms)
return 1
