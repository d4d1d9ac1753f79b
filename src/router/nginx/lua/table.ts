/** `paas.table`: the route table as this worker sees it. */
export const tableLua = String.raw`
-- Records are in the shared dictionary as Lua literals; a worker reads one when a request first needs it and keeps it
-- until the generation changes. A record that is the same in the next generation keeps what was made of it.
local state = require "paas.state"
local setfenv, loadstring = setfenv, loadstring
local find, sub = string.find, string.sub

local dict = ngx.shared.paas
local M = {}

local generation = -1
local texts = setmetatable({}, { __mode = "v" })
local hosts, kept, before, targets = {}, {}, {}, {}
local known, aimed = 0, 0
local most = 20000

local function read(text)
  local chunk = loadstring("return " .. text)
  return setfenv(chunk, {})()
end

-- Drops what was kept when a table came in since. Called once a request.
function M.sync()
  local now = state.shared.generation
  if now == generation then return end
  generation = now
  hosts, before, kept, known = {}, kept, {}, 0
  targets, aimed = {}, 0
end

-- @return what a record says, as a table of its own that callers may add to; nil: there is no such record
function M.record(key)
  local entry = kept[key]
  if entry then return entry.value end
  local text = dict:get(key)
  if not text then return nil end
  entry = before[key]
  if not entry or entry.text ~= text then entry = { text = text, value = read(text) } end
  kept[key] = entry
  return entry.value
end

local function matchPath(paths, path)
  local routes, longest = paths.routes, paths.longest
  if longest == 0 then return routes[""] end
  local last = #path
  if last > longest + 1 then
    last = longest + 2
    while last > 0 and sub(path, last, last) ~= "/" do last = last - 1 end
    last = last - 1
  end
  while last > 0 do
    local found = routes[sub(path, 1, last)]
    if found then return found end
    while last > 0 and sub(path, last, last) ~= "/" do last = last - 1 end
    last = last - 1
  end
  return routes[""]
end

local function candidates(host)
  local list = {}
  local exact = M.record("h:" .. host)
  if exact then list[1] = exact end
  local meta = M.record("meta")
  if meta and meta.wild then
    local dot = find(host, ".", 1, true)
    while dot do
      local wild = M.record("w:" .. sub(host, dot + 1))
      if wild then list[#list + 1] = wild end
      dot = find(host, ".", dot + 1, true)
    end
  end
  return list
end

-- @return the host as routes know it, or nil (src/router/table.ts, normalizeHost)
function M.normalize(value)
  local host = string.lower(value)
  local name, port = string.match(host, "^(.*):(%d*)$")
  if name and not (string.find(host, "]", 1, true) and not string.find(name, "]", 1, true)) then
    if #port > 5 then return nil end
    host = name
  end
  if string.sub(host, -1) == "." then host = string.sub(host, 1, -2) end
  if string.find(host, "^%[[0-9a-f:.]+%]$") then return host end
  if #host < 1 or #host > 253 or not string.find(host, "^[a-z0-9_][a-z0-9_.-]*$") or string.sub(host, -1) == "." then
    return nil
  end
  for label in string.gmatch(host .. ".", "([^.]*)%.") do
    if #label < 1 or #label > 63 or string.sub(label, 1, 1) == "-" then return nil end
  end
  return host
end

local usual = { [""] = true, ["keep-alive"] = true, ["close"] = true }

-- Where all requests go that ask alike; false: that depends on their path, or they or their app want more than routing.
-- @param asked Connection, "1" where the client sent an id, the host asked for, and the Host header
local function aim(asked)
  M.sync()
  local connection, named, host, raw = string.match(asked, "^([^|]*)|(1?)|([^|]*)|([^|]*)$")
  local found = false
  if connection and usual[string.lower(connection)] and M.normalize(raw) == host then
    local paths = candidates(host)[1]
    local route = paths and paths.longest == 0 and paths.routes[""]
    local backend = route and M.record(route[1])
    if backend and not (backend.limits or backend.maintenance or backend.location) then
      found = { host = host, backend = backend, https = route[2], named = named ~= "", logged = " host=" .. host .. " path=" }
    end
  end
  if aimed >= most then targets, aimed = {}, 0 end
  targets[asked] = found
  aimed = aimed + 1
  return found
end

-- @return { host, backend, https, named, logged }, or false (see aim)
function M.target(asked)
  if state.shared.generation == generation then
    local found = targets[asked]
    if found ~= nil then return found end
  end
  local found = aim(asked)
  return found
end

-- @param path a function that gives the path, called only where a route of the host has one
-- @return a route { backend key, https }, or nil
function M.route(host, path)
  local list = hosts[host]
  if not list then
    if known >= most then hosts, known = {}, 0 end
    list = candidates(host)
    hosts[host] = list
    known = known + 1
  end
  for i = 1, #list do
    local paths = list[i]
    local found
    if paths.longest == 0 then found = paths.routes[""] else found = matchPath(paths, path()) end
    if found then return found end
  end
  return nil
end

-- In the master of a router that begins: the table of the last run.
function M.load(path)
  local file = io.open(path, "rb")
  if not file then return end
  local text = file:read("*a")
  file:close()
  local count = string.match(text, "\nend\t(%d+)\n$")
  local _, lines = string.gsub(text, "\n", "\n")
  if not count or lines ~= tonumber(count) + 1 then
    dict:set("problem", "the saved route table " .. path .. " is damaged")
    return
  end
  for key, value in string.gmatch(text, "([^\t\n]+)\t([^\n]*)\n") do
    if key ~= "end" then dict:set(key, value) end
  end
  state.shared.generation = tonumber(dict:get("generation")) or 0
end

return M
`;
