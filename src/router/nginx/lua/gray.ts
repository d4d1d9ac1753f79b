/** `paas.gray`: to which of an app's endpoints a request may go, by its rules (the meaning is that of src/shared/gray). */
export const grayLua = String.raw`
local ffi = require "ffi"
local bit = require "bit"
local base64 = require "ngx.base64"
local tables = require "paas.table"
local regions = require "paas.regions"

ffi.cdef[[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len, const unsigned char *data, size_t n,
  unsigned char *out, unsigned int *out_len);
int inet_pton(int family, const char *text, void *out);
]]

local ngx, var = ngx, ngx.var
local refind = ngx.re.find
local sub, byte = string.sub, string.byte
local shares, searched, prime = 10000, 512, 33554393
local M = {}

local digest, digestLength = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")
local function hmac(key, text)
  ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, text, #text, digest, digestLength)
end

local function signature(key, app, share)
  hmac(key, app .. ":" .. share)
  return sub(base64.encode_base64url(ffi.string(digest, 32)), 1, 22)
end

-- Compares without telling by its time where two texts differ.
local function equal(one, other)
  if #one ~= #other then return false end
  local difference = 0
  for i = 1, #one do difference = bit.bor(difference, bit.bxor(byte(one, i), byte(other, i))) end
  return difference == 0
end

local raw = ffi.new("uint8_t[16]")
-- @return 4 or 16 bytes, or nil for what is no address
local function bytesOf(text)
  if ffi.C.inet_pton(2, text, raw) == 1 then return ffi.string(raw, 4) end
  if ffi.C.inet_pton(10, text, raw) == 1 then return ffi.string(raw, 16) end
  return nil
end

local function within(address, network, bits)
  if #address ~= #network then return false end
  local whole = math.floor(bits / 8)
  if sub(address, 1, whole) ~= sub(network, 1, whole) then return false end
  local rest = bits % 8
  if rest == 0 then return true end
  local shift = 8 - rest
  return bit.rshift(byte(address, whole + 1), shift) == bit.rshift(byte(network, whole + 1), shift)
end

local variables = {}
local function variable(name)
  variables[name] = "http_" .. string.gsub(name, "-", "_")
  return variables[name]
end

local function joined(name)
  -- Most clients do not send what a rule asks for; only nginx's list of all fields, which is slow to make, has repeated ones.
  if not var[variables[name] or variable(name)] then return nil end
  -- nginx gives the first of several lines only; repeated ones count as one list (RFC 9110, 5.3).
  local value = ngx.req.get_headers(0)[name]
  if type(value) == "table" then return table.concat(value, ", ") end
  return value
end

local function cookie(name)
  local all = var.http_cookie
  if not all then return nil end
  for pair in string.gmatch(all, "[^;,]+") do
    local key, value = string.match(pair, "^%s*([^=]-)%s*=%s*(.-)%s*$")
    if key == name then return value end
  end
  return nil
end

local function text(condition, value)
  if not value then return false end
  if condition.op == "is" then return value == condition.text end
  return refind(sub(value, 1, searched), condition.text, "ijo") ~= nil
end

local function share(asker)
  if asker.share then return asker.share end
  local backend = asker.backend
  local meta = asker.meta
  meta.key = meta.key or base64.decode_base64url(meta.stickyKey or "") or ""
  local key = meta.key
  local given = cookie("__paas_share_" .. backend.id)
  if given then
    local number, signed = string.match(given, "^(%d%d?%d?%d?)%.([%w_-]+)$")
    if number and equal(signature(key, backend.id, tonumber(number)), signed) then
      asker.share = tonumber(number)
      return asker.share
    end
  end
  hmac(key, backend.id .. "@" .. asker.address)
  local number = ((digest[0] * 256 + digest[1]) * 256 + digest[2]) * 256 + digest[3]
  asker.share = number % shares
  asker.st.cookie = "__paas_share_" .. backend.id .. "=" .. asker.share .. "." .. signature(key, backend.id, asker.share)
    .. "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
  return asker.share
end

-- A share's place in a release's order of them: placeIn of src/shared/gray/sticky.ts. Products stay below 2^53.
local function place(share, keys)
  local right = share % 100
  local left = (share - right) / 100
  for i = 1, #keys do
    local sum = right + keys[i]
    left, right = right, (left + sum * sum % prime) % 100
  end
  return left * 100 + right
end

local tests = {
  cookie = function(condition) return text(condition, cookie(condition.name)) end,
  header = function(condition) return text(condition, joined(condition.name)) end,
  device = function(condition) return text(condition, var.http_user_agent) end,
  ip = function(condition, asker)
    local network, bits = condition.network, condition.bits
    if not network then
      local address, length = string.match(condition.cidr, "^([^/]+)/?(%d*)$")
      network = bytesOf(address)
      bits = tonumber(length) or #network * 8
      condition.network, condition.bits = network, bits
    end
    return within(asker.bytes, network, bits)
  end,
  region = function(condition, asker)
    asker.regions = asker.regions or regions.of(asker.meta.regions, asker.bytes)
    return asker.regions[condition.region] == true
  end,
  percent = function(condition, asker)
    return condition.below > 0 and place(share(asker), condition.keys) < condition.below
  end,
}

local function holds(rule, asker)
  local all = rule.all
  for i = 1, #all do
    local condition = all[i]
    if not tests[condition.kind](condition, asker) then return false end
  end
  return true
end

local function sorted(backend)
  local named, beside, others = {}, {}, {}
  for _, rule in ipairs(backend.gray.rules) do named[rule.release] = {} end
  for _, release in ipairs(backend.gray.releases) do named[release], beside[release] = {}, true end
  for _, ep in ipairs(backend.eps) do
    local list = named[ep.release]
    if list then list[#list + 1] = ep end
    if not beside[ep.release] then others[#others + 1] = ep end
  end
  backend.named, backend.others = named, others
end

-- @return the endpoints that the request may go to
function M.select(st, backend)
  if not backend.named then sorted(backend) end
  local address = var.paas_client
  local bytes = bytesOf(address)
  if not bytes then address, bytes = "0.0.0.0", "\0\0\0\0" end
  local asker = { st = st, backend = backend, address = address, bytes = bytes, meta = tables.record("meta") }
  local rules = backend.gray.rules
  local eps
  for i = 1, #rules do
    if holds(rules[i], asker) then
      eps = backend.named[rules[i].release] or backend.others
      break
    end
  end
  eps = eps or backend.others
  if #eps > 0 then return eps end
  return #backend.others > 0 and backend.others or backend.eps
end

return M
`;
