-- Accepts a request, or says why not. A repeated id is the same request. One that comes with a claim
-- is the only one under that name while its result may be kept; it runs anew where it expired
-- before it ran.
-- KEYS: queue load pending workers bell drained
-- ARGV: prefix, the request, max items, max bytes, TTL of the keys (ms); the name of a claim, or none
-- Reply: 'accepted', 'known', 'no_worker' or 'forgotten': no worker is known, and none has answered
--        in the last minute; or 'full' and after how many ms to try again; 'conflict' where another
--        request has the claim
local queue, load, pending, workers, bell, drained = unpack(KEYS)
local prefix, payload = ARGV[1], ARGV[2]
local max_items, max_bytes, ttl_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now, id, items = now_ms(), id_of(payload), items_of(payload)
local claim = ARGV[6] and prefix .. 'claim:' .. ARGV[6]
local result, expired = prefix .. 'result:' .. id, false

if claim then
  local holder = redis.call('GET', claim)
  if holder and holder ~= id then return {'conflict'} end
  expired = redis.call('GET', result) == without_items(id, 'expired')
end
if redis.call('ZSCORE', pending, id) or not expired and redis.call('EXISTS', result) == 1 then
  -- Renewed without SET, which a Redis at its memory limit would refuse as the first write.
  if claim and redis.call('PEXPIRE', claim, ttl_ms) == 0 then
    redis.call('SET', claim, id, 'PX', ttl_ms)
  end
  return {'known'}
end
if redis.call('ZCOUNT', workers, now, '+inf') == 0 then
  return {redis.call('EXISTS', drained) == 1 and 'no_worker' or 'forgotten'}
end

local waiting = redis.call('HMGET', load, 'items', 'bytes')
local waiting_items, waiting_bytes = tonumber(waiting[1] or 0), tonumber(waiting[2] or 0)
if waiting_items + items > max_items or waiting_bytes + #payload > max_bytes then
  local rate = tonumber(redis.call('HGET', drained, 'rate') or 0)
  return {'full', rate > 0 and math.ceil(waiting_items / rate * 1000) or 1000}
end

redis.call('RPUSH', queue, payload)  -- the first write: it is what a full Redis refuses
if expired then redis.call('DEL', result) end
if claim then redis.call('SET', claim, id, 'PX', ttl_ms) end
redis.call('ZADD', pending, now + timeout_of(payload), id)
count(load, items, #payload)
ring(bell, ttl_ms)
for _, key in ipairs({queue, load, pending}) do redis.call('PEXPIRE', key, ttl_ms) end
return {'accepted'}
