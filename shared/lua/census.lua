-- What the queue looks like now.
-- KEYS: workers load leases drained
-- ARGV: prefix
-- Reply: items waiting, bytes waiting, requests under a lease, drain rate (items/s, as text),
--        then what each live worker says of itself (JSON)
local workers, load, leases, drained = unpack(KEYS)
local waiting = redis.call('HMGET', load, 'items', 'bytes')
local reply = {
  tonumber(waiting[1] or 0),
  tonumber(waiting[2] or 0),
  redis.call('ZCARD', leases),
  redis.call('HGET', drained, 'rate') or '0',
}
for _, token in ipairs(redis.call('ZRANGEBYSCORE', workers, now_ms(), '+inf')) do
  reply[#reply + 1] = redis.call('GET', ARGV[1] .. 'worker:' .. token) or '{}'
end
return reply
