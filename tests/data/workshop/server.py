"""A small MCP server for tests (handshake of 2025): clocks as JSON files in its folder."""

import json
import os
import sys


def tool(name, description, /, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"name": name, "description": description, "inputSchema": schema}


TEXT = {"type": "string"}
TOOLS = [
    tool("list_clocks", "Lists the clocks in the workshop."),
    tool("read_clock", "Reads one clock's card.", name=TEXT),
    tool("write_note", "Writes a note on a clock's card.", name=TEXT, note=TEXT),
    tool("count_calls", "Says how often this server was called."),
    tool("fail_hard", "Ends the server."),
    tool("wait", "Does nothing for so many milliseconds.", ms={"type": "integer"}),
]
calls = 0


def call(name, arguments):
    global calls
    calls += 1
    if name == "count_calls":
        return {"calls": calls}
    if name == "fail_hard":
        os._exit(3)
    if name == "wait":
        import time

        time.sleep(arguments["ms"] / 1000)
        return {}
    if name == "list_clocks":
        return {"clocks": sorted(f.removesuffix(".json") for f in os.listdir(".") if f.endswith(".json"))}
    path = arguments["name"] + ".json"
    if "/" in path or not os.path.exists(path):
        raise ValueError("no clock " + arguments["name"])
    with open(path) as file:
        card = json.load(file)
    if name == "write_note":
        card["note"] = arguments["note"]
        with open(path, "w") as file:
            json.dump(card, file, sort_keys=True)
    return card


def answer(method, params):
    if method == "initialize":
        return {"result": {"protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": {"name": "workshop", "version": "1"}}}
    if method == "tools/list":
        return {"result": {"tools": TOOLS}}
    if method != "tools/call":
        return {"error": {"code": -32601, "message": "unknown method"}}
    try:
        text, wrong = json.dumps(call(params["name"], params["arguments"])), False
    except ValueError as error:
        text, wrong = str(error), True
    return {"result": {"content": [{"type": "text", "text": text}], "isError": wrong}}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer(message["method"], message.get("params", {}))}), flush=True)
