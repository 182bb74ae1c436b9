-- Places orders of one to three lines, each under a key of its own.
-- Arguments after `--`: a file of product ids, one of access tokens, the first and last product to
-- use by their place in the file, and any number to start chance from.

local products, tokens = {}, {}
local first, last, thread_number = 1, 1, 0

function setup(thread)
  thread_number = thread_number + 1
  thread:set("id", thread_number)
end

function init(arguments)
  math.randomseed(os.time() * 1000 + id + tonumber(arguments[5]))
  for line in io.lines(arguments[1]) do products[#products + 1] = line end
  for line in io.lines(arguments[2]) do tokens[#tokens + 1] = line end
  first, last = tonumber(arguments[3]), tonumber(arguments[4])
end

function request()
  local lines = {}
  local count = first == last and 1 or math.random(1, 3)
  for number = 1, count do
    lines[number] = string.format(
      '{"product_id":"%s","quantity":1}', products[math.random(first, last)])
  end
  return wrk.format("POST", "/api/v1/orders", {
    ["Content-Type"] = "application/json",
    ["Authorization"] = "Bearer " .. tokens[math.random(1, #tokens)],
    ["Idempotency-Key"] = string.format("%x-%x-%x",
      math.random(0, 2^31 - 1), math.random(0, 2^31 - 1), math.random(0, 2^31 - 1)),
  }, '{"items":[' .. table.concat(lines, ",") .. "]}")
end

function done(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status))
end
