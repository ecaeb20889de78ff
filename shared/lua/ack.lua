-- Writes results and ends their leases. Fenced: a worker whose lease was given to another writes
-- nothing, so a request has one result.
-- KEYS: pending leases leased owners attempts drained
-- ARGV: prefix, worker token, TTL of a result (ms), then per result: id, mailbox, items, body
-- Reply: how many were written
local pending, leases, leased, owners, attempts, drained = unpack(KEYS)
local prefix, token, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local written, items = 0, 0
local boxes = {}  -- what goes to each web process: one message, whatever the size of the batch

for i = 4, #ARGV, 4 do
  local id, mailbox, body = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  if redis.call('HGET', owners, id) == token then
    redis.call('SET', prefix .. 'result:' .. id, body, 'PX', ttl_ms)
    boxes[mailbox] = boxes[mailbox] or {}
    table.insert(boxes[mailbox], body)
    redis.call('ZREM', leases, id)
    redis.call('ZREM', pending, id)
    for _, key in ipairs({leased, owners, attempts}) do redis.call('HDEL', key, id) end
    written, items = written + 1, items + tonumber(ARGV[i + 2])
  end
end

if written == 0 then return 0 end
for mailbox, bodies in pairs(boxes) do send(prefix, mailbox, bodies, ttl_ms) end

-- The drain rate, in items per second, over windows of at least a second. One that is too long for
-- that is begun anew, and so is one that began later than now: the clock was set back.
local now = now_ms()
local took = now - tonumber(redis.call('HGET', drained, 'since') or 0)
local sum = redis.call('HINCRBY', drained, 'items', items)
if took > 10000 or took < 0 then
  redis.call('HSET', drained, 'since', now, 'items', 0)
elseif took >= 1000 then
  redis.call('HSET', drained, 'since', now, 'items', 0, 'rate', sum * 1000 / took)
end
redis.call('PEXPIRE', drained, 60000)
return written
