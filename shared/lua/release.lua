-- Returns to the head of the queue what a worker holds and does not know of: the reply to its take
-- was lost. It did not run, so that this counts as no attempt.
-- KEYS: queue load leases leased owners bell
-- ARGV: worker token, TTL of the keys (ms), the ids that the worker knows of...
-- Reply: how many were returned
local queue, load, leases, leased, owners, bell = unpack(KEYS)
local token, ttl_ms, returned, known = ARGV[1], ARGV[2], 0, {}
for i = 3, #ARGV do known[ARGV[i]] = true end

for _, id in ipairs(redis.call('ZREVRANGE', leases, 0, -1)) do
  if not known[id] and redis.call('HGET', owners, id) == token then
    local payload = redis.call('HGET', leased, id)
    redis.call('ZREM', leases, id)
    redis.call('HDEL', leased, id)
    redis.call('HDEL', owners, id)
    if payload then
      redis.call('LPUSH', queue, payload)
      count(load, items_of(payload), #payload)
      ring(bell, ttl_ms)
      returned = returned + 1
    end
  end
end

if returned > 0 then
  for _, key in ipairs({queue, load}) do redis.call('PEXPIRE', key, ttl_ms) end
end
return returned
