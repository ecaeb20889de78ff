-- Counts one request of a client, or says when it may come again. Runs without the prelude.
-- KEYS: the client's own: when what it has sent is paid off, in microseconds
-- ARGV: microseconds from one request to the next at the client's rate, its burst
-- Reply: 1 or 0, how many may follow at once, microseconds until one may, until the burst may
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now, allowance = time[1] * 1000000 + time[2], interval * burst

-- What is further ahead than a burst can be is from before the rate was lowered, or the clock.
local paid_off = tonumber(redis.call('GET', KEYS[1]) or now)
paid_off = math.min(math.max(paid_off, now), now + allowance)

local over = paid_off + interval - now - allowance
if over > 0 then return {0, 0, over, paid_off - now} end
paid_off = paid_off + interval
local ahead = paid_off - now
-- Lua would write it with 14 digits.
redis.call('SET', KEYS[1], string.format('%.0f', paid_off), 'PX', math.ceil(ahead / 1000))
return {1, math.floor((allowance - ahead) / interval), math.max(0, ahead + interval - allowance), ahead}
