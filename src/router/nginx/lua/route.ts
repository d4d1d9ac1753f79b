/** `paas.route`: from a request to the instance that gets it, and to the next one where that refuses. */
export const routeLua = String.raw`
local ffi = require "ffi"
local balancer = require "ngx.balancer"
local request = require "thread.exdata"
local native = require "paas.native"
local state = require "paas.state"
local tables = require "paas.table"
local requests = require "paas.requests"
local settings = require "paas.settings"
local rare = require "paas.rare"

local ngx, var = ngx, ngx.var
local now, random = ngx.now, math.random
local find, sub = string.find, string.sub
local open, closing = state.open, state.closing
local all = requests.all
local cast, tonumber = ffi.cast, tonumber
local C, number = ffi.C, ffi.typeof("uintptr_t")
local read, value, identify, ownId = native.read, native.value, native.identify, native.id
local target = tables.target

local M = {}
-- From this number on two random ones are compared instead of all.
local large = 16
local avoidSeconds = 2

local function fit(ep, tried, time, shared)
  return not (tried and tried[ep]) and shared.avoid[ep.slot] <= time and shared.eject[ep.slot] <= time
end

local function fewestOpen(eps, tried, time, shared)
  local best, fewest, ties
  for i = 1, #eps do
    local ep = eps[i]
    if fit(ep, tried, time, shared) then
      local count = open(ep.slot)
      if not best or count < fewest then
        best, fewest, ties = ep, count, 1
      elseif count == fewest then
        ties = ties + 1
        if random() * ties < 1 then best = ep end
      end
    end
  end
  return best
end

local function untried(eps, tried)
  local left = {}
  for i = 1, #eps do if not (tried and tried[eps[i]]) then left[#left + 1] = eps[i] end end
  return left[random(1, math.max(1, #left))]
end

-- The endpoint with the fewest open requests; those that refused a moment ago or are ejected come last.
local function choose(eps, tried)
  local count = #eps
  local shared = state.shared
  if count == 1 then
    local only = eps[1]
    if tried and tried[only] then return nil end
    return only
  end
  if count == 0 then return nil end
  local time = now()
  if count >= large then
    local one, other = eps[random(1, count)], eps[random(1, count)]
    if open(other.slot) < open(one.slot) then one = other end
    if fit(one, tried, time, shared) then return one end
  end
  return fewestOpen(eps, tried, time, shared) or untried(eps, tried)
end
M.choose = choose

local function select(st, backend)
  return require("paas.gray").select(st, backend)
end

local function path()
  local uri = var.request_uri
  local query = find(uri, "?", 1, true)
  return query and sub(uri, 1, query - 1) or uri
end

-- Bytes that had come of a request when its head was read, for what goes with a body of known length: by it the end of
-- the body is known (answer.sweep). Most are GET and HEAD, whose bodies, if any, come with them.
-- @return false: there is none
local function headOf(record)
  local method = C.ngx_http_lua_ffi_req_get_method(record)
  if method == 2 or method == 4 or read(record, "content_length") == 0 then return false end
  local length = read(record, "request_length")
  local bytes = tonumber(C.ngx_atoof(value[0], length))
  return bytes
end

function M.access()
  tables.sync()
  local st = requests.begin()
  if st.head == nil then st.head = headOf(request()) end
  if st.ep then requests.again(st) end
  local raw, host = var.http_host, var.host
  if raw ~= host then
    host = rare.host(st, raw, host)
  end
  if var.paas_odd ~= "" then rare.fields(st) end
  st.host = host
  local route = tables.route(host, path)
  if not route then return rare.unrouted(st, host, path()) end
  local backend = tables.record(route[1])
  if not backend then return rare.unrouted(st, host, path()) end
  st.backend, st.key = backend, route[1]
  if route[2] or backend.special then
    if rare.special(st, route, backend) then return end
  end
  local eps = st.eps or backend.eps
  st.eps = eps
  local ep = choose(eps, nil)
  if not ep then return rare.fail(st, rare.without(backend)) end
  if backend.limits and backend.limits.concurrency then require("paas.queue").admit(st, backend, eps, ep)
  else requests.enter(st, ep) end
  local location = st.location or backend.location
  -- A reload is near: connections end with a response rather than at rest, when a request may be on its way to them.
  if closing() then
    if not location then return ngx.exec("@closing") end
    -- nginx remembers what a location on the way says of the connection.
    st.onward, location = location, "@page_close"
  end
  if location then return ngx.exec(location) end
end

-- Longer texts about what is asked are not kept.
local longest = 512

-- What most requests need, in the rewrite phase and without a coroutine: this is compiled, so it has no loop and no
-- pattern. @return '' where that was all; '1' for M.access, which can do everything
function M.begin()
  local record = request()
  identify(record)
  local length = read(record, "paas_asked")
  if length == 0 or length > longest then return "1" end
  local found = target(ffi.string(value[0], length))
  if not found or closing() then return "1" end
  if found.https and read(record, "paas_insecure") > 0 then return "1" end
  local key = tonumber(cast(number, record))
  local st = all[key]
  if st and st.live then return "1" end
  local backend = found.backend
  if not st then
    st = { plain = true, id = ffi.new("char[32]"), live = false, backend = false, aim = false, host = false, eps = false, ep = false, asked = false, first = false, head = false }
    all[key] = st
  end
  local eps = backend.eps
  if backend.gray then
    eps = select(st, backend)
    if st.cookie then st.plain = false end
  end
  local ep
  if #eps == 1 then ep = eps[1] else ep = choose(eps, nil) end
  if not ep then return "1" end
  st.live, st.backend, st.aim, st.host, st.eps, st.ep, st.asked, st.first = true, backend, found, found.host, eps, ep, false, false
  st.head = headOf(record)
  ffi.copy(st.id, ownId, 32)
  local open, slot = state.column.open, ep.slot
  open[slot] = open[slot] + 1
  return ""
end

local problem = ffi.new("char *[1]")

-- Another endpoint than the one that refused. A request that was sent, even in part, is never sent again.
local function another(st)
  local ep = st.ep
  st.plain = false
  -- A list with a place for the attempt that begins now: "0, 296 : ".
  local sent = tonumber(string.match(var.upstream_bytes_sent, "(%d+)%D*$") or 0)
  if sent > 0 or st.timedOut then
    st.sent = true
    st.received = tonumber(string.match(var.upstream_bytes_received, "(%d+)%D*$") or 0) > 0
    return nil
  end
  state.shared.avoid[ep.slot] = now() + avoidSeconds
  rare.failed(st, ep)
  st.tried = st.tried or {}
  st.tried[ep] = true
  requests.leave(st)
  local limits = st.backend.limits
  if limits and limits.concurrency then return require("paas.queue").move(st, limits.concurrency) end
  local other = choose(st.eps, st.tried)
  if not other then return nil end
  requests.enter(st, other)
  return other
end

-- Balancer phase: gives nginx the chosen endpoint, and another one when a connection failed.
function M.balance()
  local record = request()
  local key = tonumber(cast(number, record))
  local st = all[key]
  local ep = st.ep
  if st.asked then
    ep = another(st)
    if not ep then return ngx.exit(ngx.ERROR) end
  else
    local more = #st.eps - 1
    if more > 0 then balancer.set_more_tries(more) end
  end
  st.asked = C.ngx_http_lua_ffi_now()
  local address = ep.address
  if C.ngx_http_lua_ffi_balancer_set_current_peer(record, address, #address, ep.port, problem) ~= 0 then
    ngx.log(ngx.CRIT, "an instance's address cannot be used: ", ffi.string(problem[0]))
    return ngx.exit(ngx.ERROR)
  end
end

return M
`;
