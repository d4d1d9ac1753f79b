/** `paas.logs`: access logs, a file for each app, written in batches. */
export const logsLua = String.raw`
local ffi = require "ffi"
local settings = require "paas.settings"

ffi.cdef[[
int open(const char *path, int flags, ...);
ssize_t write(int fd, const void *data, size_t length);
int close(int fd);
int fstat(int fd, void *status);
int rename(const char *from, const char *to);
]]

local ngx, var = ngx, ngx.var
local concat = table.concat
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local M = {}
local pending, names = {}, {}

-- What an app's file may take on disk before the agent frees it; what comes then is lost.
local mostBytes = 256 * 1024 * 1024
-- The one without an app is moved aside: nobody ships it.
local rotateBytes = 16 * 1024 * 1024
local mostPending = 100000

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

-- A line in the form of src/shared/access-line.ts.
function M.write(id, host, status, ms, first, ep, reason)
  local lines = pending[id]
  if not lines then
    lines = { n = 0 }
    pending[id] = lines
    names[#names + 1] = id
  end
  local n = lines.n
  if n >= mostPending then return end
  -- "BYTES client=… request_id=… trace_id=…", put together by nginx.
  local rest = var.paas_logged
  local blank = find(rest, " ", 1, true)
  local line = "method=" .. quote(var.request_method or "-") .. " host=" .. quote(host) .. " path=" .. quote(path())
    .. " status=" .. status .. " bytes=" .. sub(rest, 1, blank - 1) .. " ms=" .. ms
  if first then line = line .. " first_ms=" .. first end
  if ep then line = line .. " instance=" .. quote(ep.name) .. " release=" .. ep.release end
  line = line .. sub(rest, blank)
  if reason then line = line .. " error=" .. reason end
  lines[n + 1] = line
  lines.n = n + 1
end

local status = ffi.new("int64_t[32]")
local O_WRONLY, O_CREAT, O_APPEND, O_CLOEXEC = 1, 64, 1024, 524288

local function append(id, text)
  local name = id == "" and "-" or ngx.escape_uri(id)
  local path = settings.directory .. "/access/" .. name .. ".log"
  local fd = ffi.C.open(path, O_WRONLY + O_CREAT + O_APPEND + O_CLOEXEC, ffi.cast("int", 384)) -- 0600
  if fd < 0 then return end
  -- st_size and st_blocks of Linux on 64 bits.
  if ffi.C.fstat(fd, status) == 0 then
    if id ~= "" and status[8] * 512 > mostBytes then
      ffi.C.close(fd)
      return
    end
    if id == "" and status[6] > rotateBytes then ffi.C.rename(path, path .. ".1") end
  end
  ffi.C.write(fd, text, #text)
  ffi.C.close(fd)
end

function M.flush()
  local all, files = pending, names
  pending, names = {}, {}
  for i = 1, #files do
    local lines = all[files[i]]
    append(files[i], concat(lines, "\n", 1, lines.n) .. "\n")
  end
end

return M
`;
