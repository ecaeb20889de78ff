-- Returns requests whose lease has ended, and those of a worker known to be dead, to the head of
-- the queue. One that has been lost too often is answered so.
-- KEYS: queue load pending leases leased owners attempts bell workers since
-- ARGV: prefix, token of a dead worker or '', max attempts, TTL of a result (ms), of the keys (ms)
-- Reply: how many were returned to the queue
local queue, load, pending, leases, leased, owners, attempts, bell, workers, since = unpack(KEYS)
local prefix, dead, max_attempts = ARGV[1], ARGV[2], tonumber(ARGV[3])
local result_ttl_ms, ttl_ms = tonumber(ARGV[4]), ARGV[5]
local now, returned = now_ms(), 0

if dead ~= '' then
  redis.call('ZREM', workers, dead)
  redis.call('DEL', prefix .. 'worker:' .. dead, prefix .. 'sent:' .. dead)
  if redis.call('ZCOUNT', workers, now, '+inf') == 0 then redis.call('DEL', since) end
  local owned = redis.call('HGETALL', owners)
  for i = 1, #owned, 2 do
    if owned[i + 1] == dead then redis.call('ZADD', leases, 'XX', 0, owned[i]) end
  end
end

for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', leases, now, '-inf', 'LIMIT', 0, 256)) do
  local payload = redis.call('HGET', leased, id)
  local deadline = tonumber(redis.call('ZSCORE', pending, id) or -1)
  redis.call('ZREM', leases, id)
  redis.call('HDEL', leased, id)
  redis.call('HDEL', owners, id)
  local ending
  if not payload or deadline < 0 then
    ending = 'forgotten'
  elseif deadline <= now then
    ending = 'expired'
  elseif redis.call('HINCRBY', attempts, id, 1) >= max_attempts then
    ending = 'lost'
  end
  if ending then
    redis.call('ZREM', pending, id)
    redis.call('HDEL', attempts, id)
    if ending ~= 'forgotten' then unanswered(prefix, payload, ending, result_ttl_ms) end
  else
    redis.call('LPUSH', queue, payload)
    count(load, items_of(payload), #payload)
    returned = returned + 1
  end
end

if returned > 0 then
  for _ = 1, math.min(returned, 64) do ring(bell, ttl_ms) end
  for _, key in ipairs({queue, load, attempts}) do redis.call('PEXPIRE', key, ttl_ms) end
end
return returned
