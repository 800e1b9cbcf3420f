-- wrk: tools/call as a client of MCP sends it.
--   wrk -t1 -c16 -d5s -s mcp_call.lua URL -- REVISION TOOL ARGUMENTS-AS-JSON
local message

function init(args)
  local revision, tool, arguments = args[1], args[2], args[3]
  local headers = {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json, text/event-stream",
    ["MCP-Protocol-Version"] = revision,
  }
  local meta = ""
  if revision >= "2026-07-28" then -- each request says who asks
    headers["Mcp-Method"] = "tools/call"
    headers["Mcp-Name"] = tool
    meta = ',"_meta":{"io.modelcontextprotocol/protocolVersion":"' .. revision .. '","io.modelcontextprotocol/clientCapabilities":{}}'
  end
  local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"' .. tool .. '","arguments":' .. arguments .. meta .. '}}'
  message = wrk.format("POST", nil, headers, body)
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
