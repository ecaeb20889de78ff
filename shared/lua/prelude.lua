-- Put before every script of a queue, which is all of this folder but rate.lua.
-- The offsets are those of a request's header in shared/messages.py, counted from 1.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function is_request(payload)
  return #payload >= 80 and string.sub(payload, 1, 4) == 'BPRQ'
end

local function items_of(payload) return (struct.unpack('<I2', payload, 7)) end
local function timeout_of(payload) return (struct.unpack('<I4', payload, 9)) end
local function id_of(payload) return string.sub(payload, 17, 48) end
local function mailbox_of(payload) return (string.gsub(string.sub(payload, 49, 80), '%z', '')) end

-- Sends results, as a JSON list, to the web process that waits for them, if one does.
local function send(prefix, mailbox, bodies, ttl_ms)
  if mailbox ~= '' then
    redis.call('RPUSH', prefix .. 'mailbox:' .. mailbox, '[' .. table.concat(bodies, ',') .. ']')
    redis.call('PEXPIRE', prefix .. 'mailbox:' .. mailbox, ttl_ms)
  end
end

-- The result of a request that never ran: `error` is one of those in shared/messages.py.
local function without_items(id, error) return '{"id":"' .. id .. '","error":"' .. error .. '"}' end

local function unanswered(prefix, payload, error, ttl_ms)
  local id = id_of(payload)
  local body = without_items(id, error)
  redis.call('SET', prefix .. 'result:' .. id, body, 'PX', ttl_ms)
  send(prefix, mailbox_of(payload), {body}, ttl_ms)
end

-- Adds to what is known to wait in the queue. Where nothing waits, nothing is kept.
local function count(load, items, bytes)
  local left = redis.call('HINCRBY', load, 'items', items)
  redis.call('HINCRBY', load, 'bytes', bytes)
  if left <= 0 then redis.call('DEL', load) end
end

-- Whether a worker sent nothing later of what has to come in order: its takes and releases. What it
-- gave up waiting for may come late, when it holds what that one does not know of.
local function is_latest(prefix, token, sent_us, ttl_ms)
  local key = prefix .. 'sent:' .. token
  if tonumber(sent_us) < tonumber(redis.call('GET', key) or 0) then return false end
  redis.call('SET', key, sent_us, 'PX', ttl_ms)
  return true
end

-- An idle worker waits for this; a few are enough, since every take empties what it can.
local function ring(bell, ttl_ms)
  if redis.call('LLEN', bell) < 64 then redis.call('RPUSH', bell, '1') end
  redis.call('PEXPIRE', bell, ttl_ms)
end
