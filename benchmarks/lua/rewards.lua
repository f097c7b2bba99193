-- Rewards, one or many per request, each for another decision; counts the recorded ones.
-- The file of decision ids (one per line) is cut into one slice per thread.

local common = require("common")
local LINE = 37 -- 36 characters of id and the line feed
local ids, left, started
local n = 0
correct, active_s = 0, 0

local function open_slice()
  ids = assert(io.open(os.getenv("BENCH_IDS"), "r"))
  left = math.floor(ids:seek("end") / LINE / common.n_threads)
  ids:seek("set", number * left * LINE)
end

local function element()
  n, left = n + 1, left - 1
  return '{"decision_id": "' .. ids:read("*l") .. '", "reward": ' .. n % 2 .. "}"
end

function init()
  common.post("/api/v1/rewards")
  open_slice()
  started = common.now()
end

function request()
  local elements = {}
  if left < common.batch_size then
    exhausted = true
    wrk.thread:stop()
  else
    for i = 1, common.batch_size do elements[i] = element() end
  end
  return wrk.format(nil, nil, nil, '{"rewards": [' .. table.concat(elements, ",") .. "]}")
end

function response(status, headers, body)
  active_s = common.now() - started
  if status == 200 then correct = correct + common.count(body, '"recorded"') end
end
