/** `paas.admin`: the control socket. Lines of text, since nginx's Lua has no JSON of its own; src/router/nginx/admin.ts reads them. */
export const adminLua = String.raw`
local state = require "paas.state"
local settings = require "paas.settings"

local ngx = ngx
local dict = ngx.shared.paas
local M = {}

local function status(lines)
  local shared = state.shared
  lines[#lines + 1] = "version\t" .. (dict:get("version") or 0)
  lines[#lines + 1] = "generation\t" .. shared.generation
  lines[#lines + 1] = "epoch\t" .. dict:get("epoch")
  lines[#lines + 1] = "configuration\t" .. (state.settled() and settings.configuration or "")
  local problem = dict:get("problem")
  if problem then lines[#lines + 1] = "problem\t" .. problem end
  local most = dict:get("slots") or 0
  local time = ngx.now()
  for slot = 0, most - 1 do
    local open = state.open(slot)
    if open > 0 then lines[#lines + 1] = "open\t" .. slot .. "\t" .. open end
    if shared.eject[slot] > time then lines[#lines + 1] = "ejected\t" .. slot end
  end
  return lines
end

local function traffic()
  local lines = { "epoch\t" .. dict:get("epoch") }
  local shared = state.shared
  local buckets = #settings.latency + 1
  for counter = 0, (dict:get("counters") or 0) - 1 do
    local classes, latency, any = { 0, 0, 0, 0, 0 }, nil, false
    for i = 0, shared.counted - 1 do
      for class = 0, 4 do
        local count = shared.counts[i].classes[counter][class]
        if count > 0 then any = true end
        classes[class + 1] = classes[class + 1] + count
      end
    end
    if any then
      latency = {}
      for bucket = 0, buckets - 1 do
        local sum = 0
        for i = 0, shared.counted - 1 do sum = sum + shared.counts[i].latency[counter][bucket] end
        latency[bucket + 1] = sum
      end
      lines[#lines + 1] = "count\t" .. counter .. "\t" .. table.concat(classes, " ") .. "\t" .. table.concat(latency, " ")
    end
  end
  return lines
end

-- Lines "+key<TAB>value", "-key" and "0slot" (a slot that is given to another endpoint), applied in order.
local function put()
  local shared = state.shared
  local base = tonumber(ngx.var.arg_base)
  if ngx.var.arg_base and base ~= shared.generation then
    ngx.status = 409
    return {}
  end
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local whole = not ngx.var.arg_base
  local kept = whole and { base = true, epoch = true, lock = true } or nil
  local count, at = 0, 1
  while at <= #body do
    local ending = string.find(body, "\n", at, true)
    if not ending then break end
    local sign = string.byte(body, at)
    if sign == 43 then -- +
      local tab = string.find(body, "\t", at, true)
      local key = string.sub(body, at + 1, tab - 1)
      local ok, why = dict:safe_set(key, string.sub(body, tab + 1, ending - 1))
      if not ok then
        ngx.status = 507
        return { "failed\t" .. tostring(why) }
      end
      if kept then kept[key] = true end
    elseif sign == 45 then -- -
      dict:delete(string.sub(body, at + 1, ending - 1))
    else
      local slot = tonumber(string.sub(body, at + 1, ending - 1))
      shared.avoid[slot], shared.eject[slot], shared.fails[slot] = 0, 0, 0
    end
    at = ending + 1
    count = count + 1
    -- Other requests of this worker have their turn.
    if count % 1000 == 0 then ngx.sleep(0) end
  end
  if kept then
    for _, key in ipairs(dict:get_keys(0)) do if not kept[key] then dict:delete(key) end end
  end
  dict:delete("problem")
  shared.generation = tonumber(dict:get("generation"))
  return status({})
end

function M.content()
  local call = ngx.req.get_method() .. " " .. ngx.var.uri
  local lines
  if call == "GET /status" then lines = status({})
  elseif call == "GET /traffic" then lines = traffic()
  elseif call == "PUT /table" then lines = put()
  elseif call == "PUT /closing" then
    -- For workers that run now, not for those that the reload starts.
    state.shared.closing = ngx.var.arg_end and 0 or ngx.now()
    lines = {}
  else
    ngx.status = 404
    lines = {}
  end
  ngx.header["Content-Type"] = "text/plain"
  ngx.print(table.concat(lines, "\n"))
end

return M
`;
