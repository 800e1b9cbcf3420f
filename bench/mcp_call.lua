-- wrk: tools/call as a client of MCP 2025-11-25 sends it.
--   wrk -t1 -c16 -d5s -s mcp_call.lua URL -- TOOL ARGUMENTS-AS-JSON
local message

function init(args)
  local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"' .. args[1] .. '","arguments":' .. args[2] .. '}}'
  message = wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json, text/event-stream",
    ["MCP-Protocol-Version"] = "2025-11-25",
  }, body)
end

function request()
  return message
end

-- One line for the program that reads it.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("wrk-result %.1f %.3f %.3f %d\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
