-- Reads: one product of many, or one address again and again.
-- Arguments after `--`: a file of product ids, the path (`*` stands for an id), an entity tag or `-`.

local products = {}
local path, headers

function init(arguments)
  for line in io.lines(arguments[1]) do products[#products + 1] = line end
  path = arguments[2]
  headers = {}
  if arguments[3] ~= "-" then headers["If-None-Match"] = arguments[3] end
end

function request()
  return wrk.format("GET", (path:gsub("%*", products[math.random(#products)])), headers)
end

function done(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status))
end
