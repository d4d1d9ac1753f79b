/** `paas.state`: what all workers share beside the dictionary of records: plain counters in anonymous shared memory. */
export const stateLua = String.raw`
-- The memory is mapped once by the master, so every worker that it ever forks has it at the same address, also behind a
-- reload. Each worker process counts in a column of its own: no atomic operation is needed, and what a crashed worker
-- had counted is forgotten with its column.
local ffi = require "ffi"
local bit = require "bit"
local settings = require "paas.settings"

ffi.cdef(string.format([[
typedef struct {
  int32_t open[%d];
  int32_t waiting[%d];
  double oldest[%d];
  uint32_t classes[%d][5];
  uint32_t latency[%d][48];
} paas_column;
typedef struct {
  uint32_t generation;
  uint32_t columns;
  double closing;
  int32_t pids[%d];
  double avoid[%d];
  double eject[%d];
  int32_t fails[%d];
  paas_column column[%d];
} paas_state;
void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset);
int kill(int pid, int signal);
int usleep(unsigned int microseconds);
]], settings.slots, settings.slots, settings.slots, settings.releases, settings.releases, settings.columns, settings.slots,
  settings.slots, settings.slots, settings.columns))

local dict = ngx.shared.paas
local M = {}

-- In the master, before it forks: PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS|MAP_NORESERVE of Linux.
-- @return true where the memory is new
function M.map()
  local address = dict:get("base")
  local fresh = not address
  if fresh then
    local memory = ffi.C.mmap(nil, ffi.sizeof("paas_state"), 3, bit.bor(0x1, 0x20, 0x4000), -1, 0)
    address = tonumber(ffi.cast("intptr_t", memory))
    if address == -1 then error("no shared memory (errno " .. ffi.errno() .. ")") end
    dict:set("base", address)
  end
  M.shared = ffi.cast("paas_state *", ffi.cast("uintptr_t", address))
  return fresh
end

local function gone(pid)
  return ffi.C.kill(pid, 0) ~= 0 and ffi.errno() == 3 -- ESRCH
end

-- In a worker that begins: takes a column, and gives back those of workers that are gone.
function M.claim()
  local shared = M.shared
  for _ = 1, 2000 do
    if dict:add("lock", true, 2) then break end
    ffi.C.usleep(1000)
  end
  local own
  for i = 0, settings.columns - 1 do
    local pid = shared.pids[i]
    if pid ~= 0 and gone(pid) then
      ffi.fill(shared.column[i].open, ffi.sizeof(shared.column[i].open))
      ffi.fill(shared.column[i].waiting, ffi.sizeof(shared.column[i].waiting))
      ffi.fill(shared.column[i].oldest, ffi.sizeof(shared.column[i].oldest))
      shared.pids[i] = 0
      pid = 0
    end
    if pid == 0 and not own then own = i end
  end
  -- More workers than columns only while many old ones still have connections: then two share the last one.
  own = own or settings.columns - 1
  shared.pids[own] = ngx.worker.pid()
  if own >= shared.columns then shared.columns = own + 1 end
  dict:delete("lock")
  M.column = shared.column[own]
  M.started = ngx.now()
end

-- Whether a reload is near that this worker will not survive.
function M.closing()
  local since = M.shared.closing
  return since > M.started
end

-- Requests and connections under way in an instance.
function M.open(slot)
  local shared = M.shared
  local sum = 0
  for i = 0, shared.columns - 1 do sum = sum + shared.column[i].open[slot] end
  return sum
end

function M.waiting(slot)
  local shared = M.shared
  local sum = 0
  for i = 0, shared.columns - 1 do sum = sum + shared.column[i].waiting[slot] end
  return sum
end

return M
`;
