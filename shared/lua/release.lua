-- Returns to the head of the queue what a worker holds and does not know of: the reply to its take
-- was lost. It did not run, so that this counts as no attempt. After it, a take that was sent before
-- it takes nothing.
-- KEYS: queue load leases leased owners bell
-- ARGV: prefix, worker token, when it sent this (its own us), TTL of the keys (ms), the ids that the
--       worker knows of...
-- Reply: how many were returned; none where this comes late
local queue, load, leases, leased, owners, bell = unpack(KEYS)
local prefix, token, sent_us, ttl_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local returned, known = 0, {}
for i = 5, #ARGV do known[ARGV[i]] = true end
if not is_latest(prefix, token, sent_us, ttl_ms) then return 0 end

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
