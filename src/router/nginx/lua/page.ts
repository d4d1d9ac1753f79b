/** `paas.page`: answers of the router's own, out of the texts that both drivers have (src/router/pages.ts). */
export const pageLua = String.raw`
local requests = require "paas.requests"
local rare = require "paas.rare"
local texts = require "paas.pages"
local native = require "paas.native"
local request = require "thread.exdata"

local ngx, var = ngx, ngx.var
local M = {}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }
local escapes = {
  html = function(text) return (string.gsub(text, '[&<>"]', entities)) end,
  json = function(text)
    return (string.gsub(text, '[%c"\\]', function(char) return string.format("\\u%04x", string.byte(char)) end))
  end,
  text = function(text) return text end,
}
local types = { html = "text/html; charset=utf-8", json = "application/json; charset=utf-8", text = "text/plain; charset=utf-8" }

local function offered(name)
  if name == "text/html" or name == "application/xhtml+xml" then return "html" end
  if name == "application/json" or string.sub(name, -5) == "+json" then return "json" end
  return name == "text/plain" and "text" or nil
end

-- The media type that Accept prefers; plain text where it does not care, as from curl.
local function preferred(accept)
  local best, highest, count = "text", 0, 0
  for range in string.gmatch(string.lower(accept or ""), "[^,]+") do
    count = count + 1
    if count > 50 then break end
    local kind = offered(string.match(range, "^%s*([^;%s]*)"))
    local quality = tonumber(string.match(range, ";%s*q=%s*([%d.]+)") or 1) or 0
    if kind and quality > highest then best, highest = kind, quality end
  end
  return best
end

-- Which page: what a phase asked for, or what nginx's own status stands for.
local function which(st)
  if not st then return "bad" .. ngx.status, {} end
  if st.problem then return st.problem, st.values end
  local status = ngx.status
  if st.asked and (status == 500 or status == 502 or status == 504) then
    return rare.broken(st)
  end
  return "bad" .. status, {}
end

-- Only an app's own configuration answers so without an instance: the status is its choice.
local function own(status)
  local body = status .. "\n\nThe app's own nginx configuration gives this answer.\n"
  ngx.header["Content-Type"] = types.text
  ngx.header["Content-Length"] = #body
  if ngx.req.get_method() == "HEAD" then return ngx.send_headers() end
  return ngx.print(body)
end

function M.content()
  local st = requests.current()
  if st and st.onward then
    local location = st.onward
    st.onward = nil
    return ngx.exec(location)
  end
  if var.paas_id == "" then native.identify(request()) end
  local name, values = which(st)
  local page = texts[name]
  if not page and st and not st.asked and ngx.status > 500 then return own(ngx.status) end
  page = page or texts.bad400
  if st then
    st.error = page.reason
    if st.cookie then ngx.header["Set-Cookie"] = st.cookie end
  end
  local kind = preferred(var.http_accept)
  local escape = escapes[kind]
  values.id = var.paas_request_id
  if not values.detail then values.detail = page.detail end
  local body
  if values.page and kind ~= "json" then body, kind = values.page, "html"
  else body = string.gsub(page[kind], "\1(%w+)\2", function(key) return escape(values[key] or "") end) end
  ngx.status = page.status
  local header = ngx.header
  header["Content-Type"] = types[kind]
  header["Content-Length"] = #body
  header["Cache-Control"] = "no-store"
  header["X-Router-Error"] = page.reason
  local retry = values.retryAfter or page.retryAfter
  if retry then header["Retry-After"] = retry end
  if st and st.headless then
    -- nginx sends no head on what it takes for HTTP/0.9: it goes in front of the body.
    return ngx.print("HTTP/1.1 502 Bad Gateway\r\nContent-Type: ", types[kind], "\r\nContent-Length: ", #body,
      "\r\nCache-Control: no-store\r\nX-Router-Error: ", page.reason, "\r\nX-Request-Id: ", values.id,
      "\r\nConnection: close\r\n\r\n", body)
  end
  if ngx.req.get_method() == "HEAD" then return ngx.send_headers() end
  ngx.print(body)
end

return M
`;
