-- Extends the leases that a worker still holds.
-- KEYS: leases owners
-- ARGV: worker token, lease (ms), ids...
-- Reply: how many it still holds
local leases, owners = unpack(KEYS)
local token, until_ms, held = ARGV[1], now_ms() + tonumber(ARGV[2]), 0
for i = 3, #ARGV do
  if redis.call('HGET', owners, ARGV[i]) == token then
    redis.call('ZADD', leases, 'XX', until_ms, ARGV[i])
    held = held + 1
  end
end
return held
