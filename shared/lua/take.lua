-- Takes requests from the head of the queue, each under a lease, up to a number of items; the
-- first is taken whatever its size. Expired ones are answered so and cancelled ones dropped: they
-- never run. A request that was lost with its worker before is taken alone.
-- KEYS: queue load pending leases leased owners attempts bell
-- ARGV: prefix, worker token, max items, lease (ms), TTL of a result (ms), TTL of the keys (ms)
-- Reply: per request its payload and how many ms it has waited, flat
local queue, load, pending, leases, leased, owners, attempts, bell = unpack(KEYS)
local prefix, token, max_items = ARGV[1], ARGV[2], tonumber(ARGV[3])
local lease_ms, result_ttl_ms, ttl_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local now = now_ms()
local taken, taken_items, gone_items, gone_bytes, empty = {}, 0, 0, 0, false

while taken_items < max_items do
  local payload = redis.call('LPOP', queue)
  if not payload then
    empty = true
    break
  end
  if is_request(payload) then
    local id, items = id_of(payload), items_of(payload)
    local deadline = tonumber(redis.call('ZSCORE', pending, id) or -1)
    local lost_before = redis.call('HEXISTS', attempts, id) == 1
    local waits = deadline > now
      and taken_items > 0 and (lost_before or taken_items + items > max_items)
    if waits then
      redis.call('LPUSH', queue, payload)
      break
    end
    gone_items, gone_bytes = gone_items + items, gone_bytes + #payload
    if deadline > now then
      redis.call('HSET', leased, id, payload)
      redis.call('HSET', owners, id, token)
      redis.call('ZADD', leases, now + lease_ms, id)
      taken[#taken + 1] = payload
      taken[#taken + 1] = now - (deadline - timeout_of(payload))
      taken_items = taken_items + items
      if lost_before then break end
    elseif deadline >= 0 then
      redis.call('ZREM', pending, id)
      redis.call('HDEL', attempts, id)
      unanswered(prefix, payload, 'expired', result_ttl_ms)
    end
  end
end

if empty then
  redis.call('DEL', bell, load)
elseif gone_items > 0 then
  count(load, -gone_items, -gone_bytes)
end
if #taken > 0 then
  for _, key in ipairs({leases, leased, owners}) do redis.call('PEXPIRE', key, ttl_ms) end
end
return taken
