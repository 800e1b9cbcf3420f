// MCP calls to a server, for what a page is to show.

export function mcpClient(url, moreHeaders = {}) {
  let id = 0;
  const request = async (method, params) => {
    id += 1;
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", ...moreHeaders },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw new Error(error.message);
    return result;
  };
  const call = async (name, args) => {
    const result = await request("tools/call", { name, arguments: args });
    if (result.isError) throw new Error(result.content[0].text);
    return result.structuredContent;
  };
  return { request: (method) => request(method, {}), call };
}
