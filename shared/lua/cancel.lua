-- Forgets requests that nobody waits for any more, unless a worker already runs them; the take
-- that meets one drops it.
-- KEYS: pending leases attempts
-- ARGV: ids...
-- Reply: how many were cancelled
local pending, leases, attempts = unpack(KEYS)
local cancelled = 0
for _, id in ipairs(ARGV) do
  if not redis.call('ZSCORE', leases, id) then
    cancelled = cancelled + redis.call('ZREM', pending, id)
    redis.call('HDEL', attempts, id)
  end
end
return cancelled
