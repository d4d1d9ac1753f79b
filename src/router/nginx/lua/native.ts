/** `paas.native`: what nginx knows of a request, without a Lua string or a function that LuaJIT cannot compile. */
export const nativeLua = String.raw`
-- The functions are those that lua-resty-core declares and uses. Two things keep LuaJIT from compiling what is on every
-- request's way, and lua-resty-core does both: it ends functions in a call of a built-in one ("return tonumber(…)"), and
-- it gives every value as a string.
local ffi = require "ffi"
require "resty.core"

ffi.cdef[[
int strncasecmp(const char *one, const char *other, size_t count);
int RAND_bytes(unsigned char *bytes, int count);
int64_t ngx_atoof(const char *text, size_t length);
unsigned char *ngx_hex_dump(unsigned char *to, unsigned char *from, size_t length);
]]

local C, tonumber = ffi.C, tonumber
local value, length, problem = ffi.new("char *[1]"), ffi.new("size_t[1]"), ffi.new("char *[1]")
local lower = ffi.new("char[64]")
local M = {}

-- Where the value is that was read last.
M.value = value

-- Reads a variable. @return its length; 0 where it is empty or not there
function M.read(request, name)
  local status = C.ngx_http_lua_ffi_var_get(request, name, #name, lower, 0, value, length, problem)
  if status ~= 0 then return 0 end
  local count = tonumber(length[0])
  return count
end

local most = 4096
local random, used = ffi.new("unsigned char[?]", most), most
local hex, failure, failureLength = ffi.new("unsigned char[48]"), ffi.new("unsigned char[256]"), ffi.new("size_t[1]")
local lowerId = ffi.new("unsigned char[64]")

-- The id that was given last: 32 hexadecimal digits.
M.id = hex

-- Gives a request its id and span. As random as nginx's $request_id, but bytes are drawn for many requests at once: most of
-- the cost is in the drawing.
function M.identify(request)
  if used + 24 > most then
    if C.RAND_bytes(random, most) ~= 1 then error("there are no random numbers") end
    used = 0
  end
  C.ngx_hex_dump(hex, random + used, 24)
  used = used + 24
  C.ngx_http_lua_ffi_var_set(request, "paas_id", 7, lowerId, hex, 32, failure, failureLength)
  C.ngx_http_lua_ffi_var_set(request, "paas_span", 9, lowerId, hex + 32, 16, failure, failureLength)
end

return M
`;
