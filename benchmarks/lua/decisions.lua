-- One decision per request, each for another unit.

local common = require("common")
local n = 0

function init()
  common.post("/api/v1/experiments/" .. common.experiment_key .. "/decisions")
  unit_prefix = '{"unit_id": "' .. common.run .. "-" .. number .. "-"
end

function request()
  n = n + 1
  return wrk.format(nil, nil, nil, unit_prefix .. n .. '"}')
end
