-- Places orders of one to three lines, each under a key of its own.
-- Arguments after `--`: a file of product ids, a file of access tokens, how many products to use.

local products, tokens = {}, {}
local used, thread_number = 0, 0

function setup(thread)
  thread_number = thread_number + 1
  thread:set("id", thread_number)
end

function init(arguments)
  math.randomseed(os.time() * 1000 + id + tonumber(arguments[4] or 0))
  for line in io.lines(arguments[1]) do products[#products + 1] = line end
  for line in io.lines(arguments[2]) do tokens[#tokens + 1] = line end
  used = tonumber(arguments[3])
end

function request()
  local lines = {}
  local count = used == 1 and 1 or math.random(1, 3)
  for number = 1, count do
    lines[number] = string.format(
      '{"product_id":"%s","quantity":1}', products[math.random(1, used)])
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
