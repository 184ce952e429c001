-- What wrk sends, and what it reports, as one line of JSON that the benchmark reads.
-- Arguments: "check" or "measure", the method, the length of the body to send, the expected body length.
-- "check" compares every response with what is expected. It serves the warm-up only: a look at each
-- body costs the load generator about as much as the request itself.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

wrongResponses = 0

function init(arguments)
  local upload = tonumber(arguments[3])
  local expectedBytes = tonumber(arguments[4])
  wrk.method = arguments[2]
  if upload > 0 then
    wrk.body = string.rep("u", upload)
  end
  for index = 5, #arguments, 2 do
    wrk.headers[arguments[index]] = arguments[index + 1]
  end

  if arguments[1] == "check" then
    response = function(status, headers, body)
      if status ~= 200 or #body ~= expectedBytes then
        wrongResponses = wrongResponses + 1
      end
    end
  end
end

function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrongResponses")
  end
  local errors = summary.errors
  io.write(string.format(
    'cirque-bench {"requests":%d,"durationMicros":%d,"bytes":%d,"connectErrors":%d,"readErrors":%d,' ..
    '"writeErrors":%d,"statusErrors":%d,"timeouts":%d,"wrongResponses":%d,"p50Micros":%.3f,"p99Micros":%.3f}\n',
    summary.requests, summary.duration, summary.bytes, errors.connect, errors.read,
    errors.write, errors.status, errors.timeout, wrong, latency:percentile(50), latency:percentile(99)))
end
