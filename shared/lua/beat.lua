-- A worker says that it is alive and warm, and what it is.
-- KEYS: workers
-- ARGV: prefix, worker token, for how long it counts as alive (ms), JSON
local workers = KEYS[1]
local now, ttl_ms = now_ms(), tonumber(ARGV[3])
redis.call('ZADD', workers, now + ttl_ms, ARGV[2])
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
redis.call('PEXPIRE', workers, ttl_ms)
redis.call('SET', ARGV[1] .. 'worker:' .. ARGV[2], ARGV[4], 'PX', ttl_ms)
return 1
