-- Takes requests from the head of the queue, each under a lease: as many items as the worker's
-- service curve has sizes, but no more than leave every deadline in the batch to be met. The first
-- is taken whatever its size, and a deadline that its request would miss even alone binds nobody.
-- Requests that expired, or will before the batch starts, are answered so and cancelled ones
-- dropped: they never run; nor does one twice that is in the queue twice, since it was cancelled and
-- sent again. One that was lost with its worker before is taken alone, and not before the engine is
-- free: whoever is under a lease when a worker dies counts as lost with it.
-- KEYS: queue load pending leases leased owners attempts bell
-- ARGV: prefix, worker token, when it sent this (its own us), lease (ms), TTL of a result (ms), of
--       the keys (ms), in how many ms the batch will start, then how many ms a batch of 1, 2, 3 ...
--       items takes
-- Reply: per request its payload and how many ms it has waited, flat; nothing where this comes late
local queue, load, pending, leases, leased, owners, attempts, bell = unpack(KEYS)
local prefix, token, sent_us, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local result_ttl_ms, ttl_ms, starts_in_ms = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local max_items = #ARGV - 7
local now = now_ms()
local taken, taken_items, gone_items, gone_bytes, empty = {}, 0, 0, 0, false
local earliest = math.huge

local function done_at(items)
  local size = math.min(items, max_items)
  return now + starts_in_ms + tonumber(ARGV[7 + size]) * items / size
end

if not is_latest(prefix, token, sent_us, ttl_ms) then return {} end

while taken_items < max_items do
  local payload = redis.call('LPOP', queue)
  if not payload then
    empty = true
    break
  end
  if is_request(payload) then
    local id, items = id_of(payload), items_of(payload)
    local waiting = not redis.call('ZSCORE', leases, id) and redis.call('ZSCORE', pending, id)
    local deadline = tonumber(waiting or -1)
    local lost_before = redis.call('HEXISTS', attempts, id) == 1
    local binding = math.min(earliest, deadline >= done_at(items) and deadline or math.huge)
    local in_time = deadline > now + starts_in_ms
    local waits = in_time and (lost_before and (taken_items > 0 or starts_in_ms > 0)
      or taken_items > 0
        and (taken_items + items > max_items or done_at(taken_items + items) > binding))
    if waits then
      redis.call('LPUSH', queue, payload)
      -- It may have been the last; then this is a new key, which would stay for ever.
      for _, key in ipairs({queue, load}) do redis.call('PEXPIRE', key, ttl_ms) end
      break
    end
    gone_items, gone_bytes = gone_items + items, gone_bytes + #payload
    if in_time then
      redis.call('HSET', leased, id, payload)
      redis.call('HSET', owners, id, token)
      redis.call('ZADD', leases, now + lease_ms, id)
      taken[#taken + 1] = payload
      taken[#taken + 1] = now - (deadline - timeout_of(payload))
      taken_items = taken_items + items
      earliest = binding
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
