/**
 * `paas.regions`: where a client is, by a database in MaxMind's format (https://maxmind.github.io/MaxMind-DB/). The file is
 * the driver's copy (../regions.ts), which never changes, so that workers share its pages.
 */
export const regionsLua = String.raw`
local ffi = require "ffi"
local bit = require "bit"
require "paas.state"
require "paas.logs"

ffi.cdef[[int munmap(void *address, size_t length);]]

local band, rshift = bit.band, bit.rshift
local M = {}
-- The database in use: { path, base, bytes, nodes, size, version, known, count }.
local db
local none = {}
local mostKnown = 10000

local function use(wanted)
  if db then ffi.C.munmap(ffi.cast("void *", db.base), db.bytes) end
  db = nil
  local fd = ffi.C.open(wanted.path, 524288) -- O_RDONLY, O_CLOEXEC
  if fd < 0 then return nil end
  local base = ffi.C.mmap(nil, wanted.bytes, 1, 2, fd, 0) -- PROT_READ, MAP_PRIVATE
  ffi.C.close(fd)
  if tonumber(ffi.cast("intptr_t", base)) == -1 then return nil end
  db = {
    path = wanted.path, base = ffi.cast("const uint8_t *", base), bytes = wanted.bytes, nodes = wanted.nodes,
    size = wanted.size, version = wanted.version, tree = wanted.nodes * wanted.size / 4, known = {}, count = 0,
  }
  return db
end

local function byte(at)
  if at < 0 or at >= db.bytes then error("outside of the database") end
  return db.base[at]
end

local function number(at, count)
  local value = 0
  for i = 0, count - 1 do value = value * 256 + byte(at + i) end
  return value
end

local function child(node, side)
  if db.size == 24 then return number(node * 6 + side * 3, 3) end
  if db.size == 32 then return number(node * 8 + side * 4, 4) end
  local middle = byte(node * 7 + 3)
  if side == 0 then return rshift(middle, 4) * 16777216 + number(node * 7, 3) end
  return band(middle, 15) * 16777216 + number(node * 7 + 4, 3)
end

-- @return where the record of an address is, or nil
local function find(address)
  local node = 0
  if #address == 16 then
    if db.version == 4 then return nil end
  elseif db.version == 6 then
    for _ = 1, 96 do if node < db.nodes then node = child(node, 0) end end
  end
  for i = 1, #address do
    local value = string.byte(address, i)
    for shift = 7, 0, -1 do
      if node >= db.nodes then break end
      node = child(node, band(rshift(value, shift), 1))
    end
  end
  return node > db.nodes and db.tree + node - db.nodes or nil
end

local added = { [0] = 0, 2048, 526336, 0 }
-- @return type, size and place of the content; of a pointer 1, where it leads, and the place behind it
local function head(at)
  local control = byte(at)
  local kind, size = rshift(control, 5), band(control, 31)
  at = at + 1
  if kind == 1 then
    local length = rshift(size, 3)
    local high = length == 3 and 0 or band(size, 7)
    local target = high * 256 ^ (length + 1) + number(at, length + 1) + added[length]
    return 1, db.tree + 16 + target, at + length + 1
  end
  if kind == 0 then
    kind = 7 + byte(at)
    at = at + 1
  end
  if size == 29 then return kind, 29 + byte(at), at + 1 end
  if size == 30 then return kind, 285 + number(at, 2), at + 2 end
  if size == 31 then return kind, 65821 + number(at, 3), at + 3 end
  return kind, size, at
end

local function resolve(at)
  local kind, size, content = head(at)
  if kind == 1 then kind, size, content = head(size) end
  return kind, size, content
end

-- The place behind a value.
local function skip(at, depth)
  if depth > 16 then error("nested too deeply") end
  local kind, size, content = head(at)
  if kind == 1 or kind == 14 then return content end -- a boolean is its size
  if kind ~= 7 and kind ~= 11 then return content + size end
  for _ = 1, kind == 7 and 2 * size or size do content = skip(content, depth + 1) end
  return content
end

local function text(at)
  local kind, size, content = resolve(at)
  if kind ~= 2 then return nil end
  if content + size > db.bytes then error("outside of the database") end
  return ffi.string(db.base + content, size)
end

local function member(at, name)
  local kind, size, content = resolve(at)
  if kind ~= 7 then return nil end
  for _ = 1, size do
    local key = text(content)
    content = skip(content, 0)
    if key == name then return content end
    content = skip(content, 0)
  end
  return nil
end

local function code(place)
  local at = place and member(place, "iso_code")
  return at and text(at)
end

local function codes(address)
  local at = find(address)
  local country = at and code(member(at, "country"))
  if not country then return none end
  local found = { [country] = true }
  local list = member(at, "subdivisions")
  if list then
    local kind, size, content = resolve(list)
    for _ = 1, kind == 11 and size or 0 do
      local part = code(content)
      if part then found[country .. "-" .. part] = true end
      content = skip(content, 0)
    end
  end
  return found
end

-- @param wanted what the table says of the database, or nil; address: 4 or 16 bytes
-- @return a set of country and subdivisions, empty where nobody knows
function M.of(wanted, address)
  if not wanted then return none end
  if (not db or db.path ~= wanted.path) and not use(wanted) then return none end
  if #address == 16 and string.sub(address, 1, 12) == "\0\0\0\0\0\0\0\0\0\0\255\255" then address = string.sub(address, 13) end
  local found = db.known[address]
  if found then return found end
  local ok, result = pcall(codes, address)
  found = ok and result or none
  if db.count >= mostKnown then db.known, db.count = {}, 0 end
  db.known[address], db.count = found, db.count + 1
  return found
end

return M
`;
