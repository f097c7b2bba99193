-- Shared by the wrk scripts: request headers, thread numbers, and the result as one JSON line.
-- wrk runs setup() and done() once, and everything else once in each of its threads.

local ffi = require("ffi")
ffi.cdef([[
  typedef struct { long seconds; int microseconds; int padding; } bench_time;
  int gettimeofday(bench_time *now, void *zone);
]])

local common = { threads = {} }
local clock = ffi.new("bench_time")

common.experiment_key = os.getenv("BENCH_EXPERIMENT")
common.run = os.getenv("BENCH_RUN")
common.batch_size = tonumber(os.getenv("BENCH_BATCH_SIZE"))
common.n_threads = tonumber(os.getenv("BENCH_THREADS"))

function common.post(path)
  wrk.method = "POST"
  wrk.path = path
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
end

function common.now()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.seconds) + clock.microseconds / 1e6
end

-- How often `text` occurs in `body`.
function common.count(body, text)
  local n, position = 0, 1
  while true do
    local _, last = body:find(text, position)
    if not last then return n end
    n, position = n + 1, last + 1
  end
end

-- Number the threads from 0, so that each can take its own units and decision ids.
function setup(thread)
  thread:set("number", #common.threads)
  table.insert(common.threads, thread)
end

-- `correct` is each thread's own count; a script that keeps none counts its 2xx answers.
-- When a thread had nothing left to send, the run lasted until the last answer of any thread.
function done(summary, latency)
  local correct, exhausted, seconds = 0, false, 0
  for _, thread in ipairs(common.threads) do
    if thread:get("correct") then correct = correct + thread:get("correct") end
    if thread:get("exhausted") then exhausted = true end
    if thread:get("active_s") then seconds = math.max(seconds, thread:get("active_s")) end
  end
  if not exhausted then seconds = summary.duration / 1e6 end
  if not common.threads[1]:get("correct") then
    correct = summary.requests - summary.errors.status
  end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"answers": %d, "failures": %d, "socket_errors": %d, "correct": %d, ' ..
    '"seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "exhausted": %s}\n',
    summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, correct,
    seconds, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    tostring(exhausted)))
end

return common
