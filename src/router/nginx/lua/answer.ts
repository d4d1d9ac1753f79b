/** `paas.answer`: the head of an instance's answer (header filter), and the end of every request (log phase). */
export const answerLua = String.raw`
local bit = require "bit"
local ffi = require "ffi"
local state = require "paas.state"
local requests = require "paas.requests"
local rare = require "paas.rare"
local settings = require "paas.settings"
local logs = require "paas.logs"

local request = require "thread.exdata"
local native = require "paas.native"

local ngx, var = ngx, ngx.var
local floor = math.floor
local all, finish, leave = requests.all, requests.finish, requests.leave
local C, cast, tonumber, number = ffi.C, ffi.cast, tonumber, ffi.typeof("uintptr_t")
local read, value = native.read, native.value
local line = logs.line
local M = {}

-- What an instance's answer rarely needs. @return nothing, or does not return
local function odd(st, status)
  st.plain = false
  if status < 200 and not (status == 101 and st.upgrade) then
    -- nginx takes what has no status line for HTTP/0.9, and would go on in that towards the client.
    st.headless = status == 9
    st.odd = st.headless and "it has no status line" or "it sent " .. status .. ", which nobody asked for"
    return ngx.exit(502)
  end
  local connection = var.upstream_http_connection
  if connection and connection ~= "keep-alive" and connection ~= "close" then
    for option in string.gmatch(string.lower(connection), "[^,%s]+") do
      if option ~= "close" and option ~= "keep-alive" and option ~= "upgrade" then ngx.header[option] = nil end
    end
  end
  if st.cookie then
    local own = ngx.header["Set-Cookie"]
    if type(own) == "table" then own[#own + 1] = st.cookie
    elseif own then own = { own, st.cookie }
    else own = st.cookie end
    ngx.header["Set-Cookie"] = own
  end
end

function M.header()
  local record = request()
  local key = tonumber(cast(number, record))
  local st = all[key]
  if not st or not st.live or not st.asked or st.problem then return end
  local status = C.ngx_http_lua_ffi_get_resp_status(record)
  st.first = C.ngx_http_lua_ffi_now()
  local length = read(record, "upstream_http_connection")
  if length > 0 and (length == 10 and C.strncasecmp(value[0], "keep-alive", 10) == 0
    or length == 5 and C.strncasecmp(value[0], "close", 5) == 0) then
    length = 0
  end
  if status < 200 or st.cookie or length > 0 then return odd(st, status) end
end

-- Which count of the histogram a number of milliseconds belongs to.
local bounds, buckets = settings.latency, #settings.latency
local longest = bounds[buckets]
local bucketAt = ffi.new("uint8_t[?]", longest + 1)
do
  local bucket = 0
  for ms = 0, longest do
    if ms > bounds[bucket + 1] then bucket = bucket + 1 end
    bucketAt[ms] = bucket
  end
end

local function count(ep, status, ms)
  local counts, counter = state.counts, ep.counter
  local class = floor(status / 100) - 1
  if class < 0 or class > 4 then class = 4 end
  local classes = counts.classes[counter]
  classes[class] = classes[class] + 1
  if status ~= 101 then
    local bucket = buckets
    if ms <= longest then bucket = bucketAt[ms] end
    local latency = counts.latency[counter]
    latency[bucket] = latency[bucket] + 1
  end
end

-- The end of a request that was not a plain one, or did not go well.
local function ended(time, started)
  local st = finish()
  if var.paas_id == "" then native.identify(request()) end
  local status = ngx.status
  local ms = floor((time - started) * 1000 + 0.5)
  if not st then
    return logs.write("", "-", status, ms, nil, nil, "bad-request")
  end
  -- One that was chosen but never asked, since an app's own configuration answered, is not charged with the answer.
  local ep = st.asked and (st.ep or st.last)
  leave(st)
  if st.waits then require("paas.queue").unwait(st) end
  local backend = st.backend
  local reason = st.error
  if ep then
    if not st.first and status == 499 then reason = "client-gone"
    elseif st.first and not reason and not ngx.req.is_internal() and var.request_completion ~= "OK" then
      reason = "broken-off"
    end
    count(ep, status, ms)
    if status >= 500 or reason == "instance-broke" then
      -- One that refused is charged already (route.balance).
      if not (st.tried and st.tried[ep]) then rare.failed(st, ep) end
    elseif st.first then
      local fails = state.shared.fails
      if fails[ep.slot] ~= 0 then fails[ep.slot] = 0 end
    end
  elseif not reason and status == 499 then reason = "client-gone" end
  logs.write(backend and backend.id or "", st.host or "-", status, ms, st.first and floor((st.first - started) * 1000 + 0.5),
    ep, reason)
end

function M.log()
  local record = request()
  local key = tonumber(cast(number, record))
  local st = all[key]
  local time, started = C.ngx_http_lua_ffi_now(), C.ngx_http_lua_ffi_req_start_time(record)
  if not st or not st.live or not st.plain or not st.first then return ended(time, started) end
  local status = C.ngx_http_lua_ffi_get_resp_status(record)
  if status >= 500 then return ended(time, started) end
  local ms = floor((time - started) * 1000 + 0.5)
  if not line(record, st, status, ms, floor((st.first - started) * 1000 + 0.5)) then return ended(time, started) end
  st.live = false
  local ep = st.ep
  local slot = ep.slot
  local open, fails = state.column.open, state.shared.fails
  open[slot] = open[slot] - 1
  if fails[slot] ~= 0 then fails[slot] = 0 end
  count(ep, status, ms)
end

-- Breaks off requests whose instance took too long to begin its answer: nginx has one time-out for the wait and for
-- every later read, and a response that has begun may be as slow as it likes. The instance's socket is shut down, which
-- nginx takes for its end. Only where the record at hand is what nginx's source says it is (the head of
-- ngx_http_request_t, ngx_http_upstream_t and ngx_connection_t are the same since 0.8), and the socket's peer the
-- instance that was asked.
ffi.cdef[[
typedef struct { uint32_t signature; void *connection; void *ctx; void *conf[3]; void *handlers[2]; void *cache; void **upstream; } paas_request;
typedef struct { void *handlers[2]; void *connection; } paas_upstream;
typedef struct { void *data; void *read; void *write; int fd; } paas_connection;
typedef struct { uint16_t family; uint16_t port; uint8_t rest[124]; } paas_address;
int getpeername(int fd, void *address, uint32_t *length);
int getsockopt(int fd, int level, int name, void *value, uint32_t *length);
int shutdown(int fd, int how);
]]
local address, size, info = ffi.new("paas_address"), ffi.new("uint32_t[1]"), ffi.new("uint32_t[64]")

local function connectionOf(key, st)
  local request = ffi.cast("paas_request *", ffi.cast("uintptr_t", key))
  if request.signature ~= 0x50545448 or request.upstream == nil then return nil end
  local upstream = ffi.cast("paas_upstream *", request.upstream)
  if upstream.connection == nil then return nil end
  local connection = ffi.cast("paas_connection *", upstream.connection)
  size[0] = 128
  if ffi.C.getpeername(connection.fd, address, size) ~= 0 then return nil end
  local port = bit.bor(bit.lshift(bit.band(address.port, 0xff), 8), bit.rshift(address.port, 8))
  return port == st.ep.port and connection or nil
end

-- ms since something was sent to the instance (TCP_INFO, tcpi_last_data_sent).
local function sinceSent(fd)
  size[0] = 256
  if ffi.C.getsockopt(fd, 6, 11, info, size) ~= 0 then return 0 end
  return tonumber(info[11])
end

-- nginx's own limit of a client's pause (client_body_timeout), ms.
local pause = 60000
-- GET, HEAD, DELETE and OPTIONS by nginx's numbers: without a length they are taken to have no body.
local bodiless = 2 + 4 + 32 + 512

-- Whether the client has sent all of its body: before, the pause is not the instance's.
-- @return true; false; nil: nginx does not tell a body in HTTP/2 that has not ended from none
local function whole(key, st)
  local record = ffi.cast("ngx_http_request_t *", ffi.cast("uintptr_t", key))
  local length = read(record, "http_content_length")
  if length > 0 then
    local body = tonumber(C.ngx_atoof(value[0], length))
    if not st.head or body <= 0 then return true end
    length = read(record, "request_length")
    return tonumber(C.ngx_atoof(value[0], length)) - st.head >= body
  end
  -- Of a body of unknown length nginx gives this when it has read the end.
  if read(record, "content_length") > 0 then return true end
  if read(record, "http_transfer_encoding") > 0 then return false end
  length = read(record, "server_protocol")
  if length < 6 or value[0][5] ~= 50 then return true end
  if bit.band(C.ngx_http_lua_ffi_req_get_method(record), bodiless) ~= 0 then return true end
  return nil
end

-- @param ending the worker takes no new connections any more
function M.sweep(ending)
  if ending then return state.leave() end
  state.reap()
  local time = ngx.now()
  for key, st in pairs(all) do
    local ep, asked = st.ep, st.asked
    if not st.live then all[key] = nil
    elseif ep and asked and not st.first and not st.timedOut then
      local limits = st.backend.limits
      local limit = limits and limits.responseMs or settings.responseMs
      if (time - asked) * 1000 >= limit then
        local connection = connectionOf(key, st)
        local since = connection and sinceSent(connection.fd) or 0
        local sent = since >= limit and whole(key, st)
        if sent or sent == nil and since > pause then
          st.timedOut, st.plain = true, false
          ffi.C.shutdown(connection.fd, 2)
        end
      end
    end
  end
end

return M
`;
