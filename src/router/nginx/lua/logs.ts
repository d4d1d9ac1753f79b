/** `paas.logs`: access logs, a file for each app, written in batches. */
export const logsLua = String.raw`
local ffi = require "ffi"
local native = require "paas.native"
local settings = require "paas.settings"

ffi.cdef[[
int open(const char *path, int flags, ...);
ssize_t write(int fd, const void *data, size_t length);
int close(int fd);
size_t strspn(const char *text, const char *accepted);
int fstat(int fd, void *status);
int rename(const char *from, const char *to);
]]

local ngx, var = ngx, ngx.var
local C, cast, copy, tonumber = ffi.C, ffi.cast, ffi.copy, tonumber
local read, value = native.read, native.value
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local M = {}

-- Lines by app, { id, bytes, at, room, idle }; those in use have bytes.
local books, inUse = {}, {}
local first, largest = 4096, 256 * 1024

-- What an app's file may take on disk before the agent frees it; what comes then is lost.
local mostBytes = 256 * 1024 * 1024
-- The one without an app is moved aside: nobody ships it.
local rotateBytes = 16 * 1024 * 1024

local function escaped(char)
  if char == '"' or char == "\\" then return "\\" .. char end
  return format("\\u%04x", byte(char))
end

-- What was asked about lately: methods, hosts, paths and names come again and again.
local quoted, known = {}, 0

local function quote(text)
  local done = quoted[text]
  if done then return done end
  if ngx.re.find(text, [=[^[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+$]=], "jo") then done = text
  else done = '"' .. gsub(text, '[%c"\\\127-\255]', escaped) .. '"' end
  if known >= 5000 then quoted, known = {}, 0 end
  quoted[text], known = done, known + 1
  return done
end

local function path()
  local uri = var.request_uri or "-"
  local query = find(uri, "?", 1, true)
  return query and sub(uri, 1, query - 1) or uri
end

local status = ffi.new("int64_t[32]")
local O_WRONLY, O_CREAT, O_APPEND, O_CLOEXEC = 1, 64, 1024, 524288

local function append(book)
  local id = book.id
  local name = id == "" and "-" or ngx.escape_uri(id)
  local path = settings.directory .. "/access/" .. name .. ".log"
  local fd = C.open(path, O_WRONLY + O_CREAT + O_APPEND + O_CLOEXEC, cast("int", 384)) -- 0600
  if fd < 0 then return end
  -- st_size and st_blocks of Linux on 64 bits.
  if C.fstat(fd, status) == 0 then
    if id ~= "" and status[8] * 512 > mostBytes then
      C.close(fd)
      return
    end
    if id == "" and status[6] > rotateBytes then C.rename(path, path .. ".1") end
  end
  C.write(fd, book.bytes, book.at)
  C.close(fd)
end

-- Room for so many bytes more: a longer buffer, or the lines so far go to disk.
local function room(book, wanted)
  if not book.bytes then
    book.idle, book.at, book.room = 0, 0, 0
    inUse[#inUse + 1] = book
  end
  if book.at > 0 and book.at + wanted > largest then
    append(book)
    book.at = 0
  end
  if book.at + wanted > book.room then
    local size = math.max(book.room, first)
    while size < book.at + wanted do size = size * 2 end
    local bytes = ffi.new("char[?]", size)
    if book.at > 0 then copy(bytes, book.bytes, book.at) end
    book.bytes, book.room = bytes, size
  end
end

local function bookOf(id)
  local book = books[id]
  if not book then
    book = { id = id, bytes = false, at = 0, room = 0, idle = 0 }
    books[id] = book
  end
  return book
end

-- What lines have of an endpoint.
local function served(ep)
  ep.served = " instance=" .. quote(ep.name) .. " release=" .. ep.release
  return ep.served
end

local function bookFor(backend)
  backend.book = bookOf(backend.id)
  return backend.book
end

-- Numbers with the names in front of them.
local most = 2000
local function labelled(label)
  return { label = label }
end
local function text(known, number)
  local made = known.label .. number
  if number <= most then known[number] = made end
  return made
end
local statuses, times, firstTimes = labelled " status=", labelled " ms=", labelled " first_ms="

-- All that may be in a path without quotes; a query is cut off.
local bare = {}
for code = 0x21, 0x7e do
  local char = string.char(code)
  if not find('"=\\?', char, 1, true) then bare[#bare + 1] = char end
end
bare = table.concat(bare)

-- By nginx's numbers.
local methods = { [2] = "GET", [4] = "HEAD", [8] = "POST", [16] = "PUT", [32] = "DELETE" }

local to, size

local function put(string, length)
  copy(to + size, string, length)
  size = size + length
end

-- Writes a plain request's line without making a Lua string. Behind nginx's values of unparsed_uri there is always another
-- character: a blank, the end of a line or of a text.
-- @return false where something has to be quoted, or the answer broke off
function M.line(record, st, status, ms, firstMs)
  local backend, ep = st.backend, st.ep
  local book = backend.book or bookFor(backend)
  local bytes = read(record, "paas_sent")
  if bytes == 0 then return false end
  local sent = value[0]
  local length = read(record, "request_uri")
  local uri = value[0]
  local path = tonumber(C.strspn(uri, bare))
  if path < length and uri[path] ~= 63 then return false end
  if path > length then path = length end
  if book.at + path + 1024 > book.room then room(book, path + 1024) end
  to, size = book.bytes, book.at
  put("method=", 7)
  local method = methods[C.ngx_http_lua_ffi_req_get_method(record)]
  if method then put(method, #method)
  else
    length = read(record, "request_method")
    put(value[0], length)
  end
  put(st.aim.logged, #st.aim.logged)
  put(uri, path)
  local label = statuses[status] or text(statuses, status)
  put(label, #label)
  put(" bytes=", 7)
  put(sent, bytes)
  label = times[ms] or text(times, ms)
  put(label, #label)
  label = firstTimes[firstMs] or text(firstTimes, firstMs)
  put(label, #label)
  label = ep.served or served(ep)
  put(label, #label)
  put(" client=", 8)
  length = read(record, "paas_client")
  put(value[0], length)
  put(" request_id=", 12)
  if st.aim.named then
    length = read(record, "paas_logged_id")
    put(value[0], length)
  else put(st.id, 32) end
  put(" trace_id=", 10)
  put(st.id, 32)
  put("\n", 1)
  book.at = size
  return true
end

-- A line in the form of src/shared/access-line.ts.
function M.write(id, host, status, ms, first, ep, reason)
  local rest = var.paas_logged
  local blank = find(rest, " ", 1, true)
  local line = "method=" .. quote(var.request_method or "-") .. " host=" .. quote(host) .. " path=" .. quote(path())
    .. " status=" .. status .. " bytes=" .. sub(rest, 1, blank - 1) .. " ms=" .. ms
  if first then line = line .. " first_ms=" .. first end
  if ep then line = line .. " instance=" .. quote(ep.name) .. " release=" .. ep.release end
  line = line .. sub(rest, blank)
  if reason then line = line .. " error=" .. reason end
  line = line .. "\n"
  local book = bookOf(id)
  if book.at + #line > book.room then room(book, #line) end
  copy(book.bytes + book.at, line, #line)
  book.at = book.at + #line
end

-- Every 250 ms. Apps without requests for a while give their buffer back.
function M.flush()
  local kept = {}
  for i = 1, #inUse do
    local book = inUse[i]
    if book.at > 0 then
      append(book)
      book.at, book.idle = 0, 0
    else book.idle = book.idle + 1 end
    if book.idle < 40 then kept[#kept + 1] = book
    else
      book.bytes, book.room = false, 0
      books[book.id] = nil
    end
  end
  inUse = kept
end

return M
`;
