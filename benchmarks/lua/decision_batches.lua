-- Decisions in batches, each for another unit; counts the elements answered with 201.

local common = require("common")
local n = 0
correct = 0

function init()
  common.post("/api/v1/decisions:batch")
  element = '{"experiment_key": "' .. common.experiment_key .. '", "unit_id": "'
    .. common.run .. "-" .. number .. "-"
end

function request()
  local elements = {}
  for i = 1, common.batch_size do
    n = n + 1
    elements[i] = element .. n .. '"}'
  end
  return wrk.format(nil, nil, nil, '{"decisions": [' .. table.concat(elements, ",") .. "]}")
end

function response(status, headers, body)
  if status == 200 then correct = correct + common.count(body, '"status": ?201') end
end
