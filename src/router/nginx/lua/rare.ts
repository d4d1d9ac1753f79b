/** `paas.rare`: what most requests do not need: odd header fields, limits, maintenance, redirects, failures. */
export const rareLua = String.raw`
local state = require "paas.state"
local tables = require "paas.table"
local requests = require "paas.requests"
local settings = require "paas.settings"
local native = require "paas.native"
local request = require "thread.exdata"

local ngx, var = ngx, ngx.var
local now = ngx.now
local dict = ngx.shared.paas
local normalize = tables.normalize
local M = {}

-- Ends a request with a page of the router's own. Does not return.
-- @param problem its name in paas.pages; values for its text
function M.fail(st, problem, values, close)
  st.problem, st.values = problem, values or {}
  return ngx.exec((close or state.closing()) and "@page_close" or "@page")
end
local fail = M.fail

function M.bad(st, status, detail)
  return fail(st, "bad" .. status, { detail = detail }, true)
end

function M.without(backend)
  return backend.state == "serving" and "noInstance" or backend.state, { app = backend.app, flags = backend.flags }
end

-- The host of a request whose Host header is not simply it.
function M.host(st, raw, host)
  if not raw then return M.bad(st, 400, "there is no Host header") end
  local own = normalize(raw)
  if not own then return M.bad(st, 400, "the Host header is not a valid host name") end
  if own ~= host then return M.bad(st, 400, "the URL asked for and the Host header differ") end
  return own
end

local framing = { host = true, ["content-length"] = true, ["transfer-encoding"] = true, ["x-forwarded-for"] = true }

-- Expect, Upgrade and what Connection names (RFC 9110, 7.6.1).
function M.fields(st)
  local expect = var.http_expect
  if expect and string.lower(expect) ~= "100-continue" then
    return M.bad(st, 417, "only Expect: 100-continue is known")
  end
  -- More than one trace is none.
  if var.http_traceparent then
    local parent = ngx.req.get_headers(0).traceparent
    if type(parent) == "string" then var.paas_traceparent = parent end
  end
  local wanted = false
  for option in string.gmatch(string.lower(var.http_connection or ""), "[^,%s]+") do
    if option == "upgrade" then wanted = true
    elseif option ~= "close" and option ~= "keep-alive" and not framing[option] then ngx.req.clear_header(option) end
  end
  local upgrade = var.http_upgrade
  -- h2c is never passed on (a tunnel behind it would hide requests from the router), and a request with a body is
  -- answered in HTTP/1.1, as RFC 9110, 7.8 allows.
  local body = (tonumber(var.content_length) or 0) > 0 or var.http_transfer_encoding
  if wanted and upgrade and not body and ngx.req.http_version() == 1.1
    and not string.find(string.lower(upgrade), "h2c", 1, true) then
    st.upgrade = true
    var.paas_upgrade = upgrade
    var.paas_connection = "upgrade"
  end
end

function M.unrouted(st, host, path)
  if not normalize(host) then return M.bad(st, 400, "the Host header is not a valid host name") end
  if state.shared.generation == 0 then return fail(st, "noTable") end
  return fail(st, "noRoute", { host = host, path = path })
end

-- Answers of ACME's HTTP-01 (RFC 8555, 8.3), on every host.
function M.challenge()
  native.identify(request())
  tables.sync()
  local token = string.match(var.uri, "^/%.well%-known/acme%-challenge/([^/]+)$")
  local record = token and tables.record("a:" .. token)
  if not record then return end
  ngx.header["Content-Type"] = "application/octet-stream"
  ngx.header["Content-Length"] = #record.answer
  ngx.print(record.answer)
  return ngx.exit(200)
end

-- Number at the end of a list such as "0, 12"; 0 where there is none.
function M.lastNumber(list)
  return tonumber(string.match(list or "", "([%d.]+)%s*$")) or 0
end

function M.client()
  return var.paas_client
end

local function redirect(meta, host)
  local port = meta.tlsPort == 443 and "" or ":" .. meta.tlsPort
  ngx.header["Location"] = "https://" .. host .. port .. var.request_uri
  ngx.header["Cache-Control"] = "no-store"
  ngx.status = 308
  return ngx.exit(308)
end

-- What an app has of its own: redirect to TLS, maintenance, limits, gray rules. @return true where nothing is left to do
function M.special(st, route, backend)
  if route[2] then
    local meta = tables.record("meta")
    if meta.tlsPort and var.paas_proto == "http" then redirect(meta, st.host) return true end
  end
  if not backend.special then return false end
  if backend.maintenance then
    return fail(st, "maintenance", { app = backend.app, flags = backend.flags, page = backend.maintenance.page })
  end
  local limits = backend.limits
  if limits then
    local most = limits.maxBodyBytes
    if most then
      local length = tonumber(var.http_content_length)
      if length and length > most then
        st.problem, st.values = "bodyTooLarge", { app = backend.app, limit = tostring(most) }
        return ngx.exit(413)
      end
      -- nginx counts what comes in chunks, in a location that has this limit.
      if not length then st.location = backend.body end
    end
    if limits.rate then M.rate(st, backend, limits.rate) end
  end
  if backend.gray then st.eps = require("paas.gray").select(st, backend) end
  return false
end

-- A token bucket for each client, in the dictionary: "tokens time".
function M.rate(st, backend, rate)
  local key = "l:" .. backend.id .. ":" .. M.client()
  local time = now()
  local tokens, at = rate.burst, time
  local kept = ngx.shared.paas_rates:get(key)
  if kept then
    local left, since = string.match(kept, "^(%S+) (%S+)$")
    tokens = math.min(rate.burst, tonumber(left) + (time - tonumber(since)) * rate.perSecond)
  end
  local taken = tokens >= 1
  if taken then tokens = tokens - 1 end
  ngx.shared.paas_rates:set(key, string.format("%.6f %.3f", tokens, at), rate.burst / rate.perSecond + 1)
  if not taken then
    local seconds = math.max(1, math.ceil((1 - tokens) / rate.perSecond))
    return fail(st, "tooMany", { app = backend.app, retryAfter = tostring(seconds) })
  end
end

-- Counts a failure of an endpoint; enough of them in a row eject it, unless half of the app's are out already.
function M.failed(st, ep)
  local backend = st.backend
  local outlier = backend.outlier
  if outlier.failures == 0 then return end
  local shared = state.shared
  local fails = shared.fails[ep.slot] + 1
  shared.fails[ep.slot] = fails
  if fails < outlier.failures then return end
  local time = now()
  local eps, out = backend.eps, 0
  for i = 1, #eps do
    if eps[i] ~= ep and shared.eject[eps[i].slot] > time then out = out + 1 end
  end
  if (out + 1) * 2 > #eps then return end
  shared.fails[ep.slot] = 0
  shared.eject[ep.slot] = time + outlier.ejectMs / 1000
end

-- Why an instance gave no answer, as the name of a page. Called for errors that nginx itself found.
function M.broken(st)
  local ep = st.ep or st.last
  local backend = st.backend
  local values = { app = backend.app, flags = backend.flags, instance = ep.name }
  local sent = st.sent or M.lastNumber(var.upstream_bytes_sent) > 0
  local received = st.received or M.lastNumber(var.upstream_bytes_received) > 0
  if st.timedOut or (ngx.status == 504 and sent) then
    local ms = backend.limits and backend.limits.responseMs or settings.responseMs
    values.seconds = tostring(ms / 1000)
    return "tooSlow", values
  end
  if st.odd then
    values.detail = st.odd
    return "invalid", values
  end
  if not sent then
    values.detail = "connection refused"
    return ngx.status == 504 and "unreachable" or "refused", values
  end
  if received then
    values.detail = "its head cannot be read"
    return "invalid", values
  end
  values.detail = "it closed the connection"
  return "broke", values
end

return M
`;
