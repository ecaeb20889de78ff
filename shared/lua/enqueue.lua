-- Accepts a request, or says why not. A repeated id is the same request.
-- KEYS: queue load pending workers bell drained
-- ARGV: prefix, the request, max items, max bytes, TTL of the keys (ms)
-- Reply: 'accepted', 'known' or 'no_worker'; or 'full' and after how many ms to try again
local queue, load, pending, workers, bell, drained = unpack(KEYS)
local prefix, payload = ARGV[1], ARGV[2]
local max_items, max_bytes, ttl_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now, id, items = now_ms(), id_of(payload), items_of(payload)

if redis.call('ZSCORE', pending, id) or redis.call('EXISTS', prefix .. 'result:' .. id) == 1 then
  return {'known'}
end
if redis.call('ZCOUNT', workers, now, '+inf') == 0 then return {'no_worker'} end

local waiting = redis.call('HMGET', load, 'items', 'bytes')
local waiting_items, waiting_bytes = tonumber(waiting[1] or 0), tonumber(waiting[2] or 0)
if waiting_items + items > max_items or waiting_bytes + #payload > max_bytes then
  local rate = tonumber(redis.call('HGET', drained, 'rate') or 0)
  return {'full', rate > 0 and math.ceil(waiting_items / rate * 1000) or 1000}
end

redis.call('RPUSH', queue, payload)
redis.call('ZADD', pending, now + timeout_of(payload), id)
count(load, items, #payload)
ring(bell, ttl_ms)
for _, key in ipairs({queue, load, pending}) do redis.call('PEXPIRE', key, ttl_ms) end
return {'accepted'}
