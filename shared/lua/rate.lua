-- Counts one request of a client, or says when it may come again; or counts the other items of one
-- that was let in, unless the client is in debt. Runs without the prelude.
-- KEYS: the client's own: when what it has sent is paid off, in microseconds
-- ARGV: microseconds from one item to the next at the client's rate, its burst, the most items
--   of a request, how many of these are counted now: 0 stands for a request and its first item
-- Reply: 1 or 0, how many may follow at once, microseconds until one may, until the burst may
local interval, burst, most, more =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now, allowance = time[1] * 1000000 + time[2], interval * burst

-- What is further ahead than a burst and a request can be is from before the rate was lowered, or
-- the clock.
local paid_off = tonumber(redis.call('GET', KEYS[1]) or now)
paid_off = math.min(math.max(paid_off, now), now + allowance + interval * (most - 1))

local allowed = paid_off - now + (more == 0 and interval or 0) <= allowance
if allowed then
  paid_off = paid_off + interval * math.max(1, more)
  -- Lua would write it with 14 digits.
  redis.call('SET', KEYS[1], string.format('%.0f', paid_off), 'PX', math.ceil((paid_off - now) / 1000))
end
local ahead = paid_off - now
local left = math.max(0, math.floor((allowance - ahead) / interval))
return {allowed and 1 or 0, left, math.max(0, ahead + interval - allowance), ahead}
