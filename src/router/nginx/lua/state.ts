/** `paas.state`: what all workers share beside the dictionary of records: plain counters in anonymous shared memory. */
export const stateLua = String.raw`
-- The memory is mapped once by the master, so every worker that it ever forks has it at the same address, also behind a
-- reload. Each worker process counts in a column of its own: no atomic operation is needed, and what a crashed worker
-- had counted is forgotten with its column.
local ffi = require "ffi"
local bit = require "bit"
local settings = require "paas.settings"

-- Old workers stay for as long as they have connections, WebSockets for days, through many reloads. Of what is open none
-- may get lost, so each has a column then too; counts of the past they share, which at worst loses some.
local most, kept = math.max(128, 4 * settings.columns), settings.columns

ffi.cdef(string.format([[
typedef struct {
  int32_t open[%d];
  int32_t waiting[%d];
  double oldest[%d];
} paas_column;
typedef struct {
  uint32_t classes[%d][5];
  uint32_t latency[%d][48];
} paas_counts;
typedef struct {
  int32_t pid;
  uint32_t configuration;
  double begun;
  int32_t leaving;
} paas_worker;
typedef struct {
  uint32_t generation;
  uint32_t columns;
  uint32_t counted;
  double closing;
  paas_worker workers[%d];
  double avoid[%d];
  double eject[%d];
  int32_t fails[%d];
  paas_column column[%d];
  paas_counts counts[%d];
} paas_state;
void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset);
int kill(int pid, int signal);
int getpgid(int pid);
int usleep(unsigned int microseconds);
]], settings.slots, settings.slots, settings.slots, settings.releases, settings.releases, most, settings.slots,
  settings.slots, settings.slots, most, kept))

local dict = ngx.shared.paas
local M = {}
M.configuration = tonumber(string.sub(settings.configuration, 1, 8), 16)

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

-- Whether the worker is no more. Its number may be another process's by now, which is in another process group, or that
-- of the worker that asks.
local function gone(worker)
  return worker.pid == ngx.worker.pid() and worker.begun ~= M.started
    or ffi.C.getpgid(worker.pid) ~= ffi.C.getpgid(0)
end

-- Forgets what workers that are gone had open.
local function clear()
  local shared, used = M.shared, 0
  for i = 0, shared.columns - 1 do
    local worker = shared.workers[i]
    if worker.pid ~= 0 then
      if gone(worker) then
        ffi.fill(shared.column[i], ffi.sizeof("paas_column"))
        worker.pid = 0
      else used = i + 1 end
    end
  end
  shared.columns = used
end

-- Every 250 ms, since a worker that ends behind a reload gets no successor that would do it.
function M.reap()
  if not dict:add("lock", true, 2) then return end
  clear()
  dict:delete("lock")
end

local function free()
  for i = 0, most - 1 do if M.shared.workers[i].pid == 0 then return i end end
  return nil
end

-- Makes room where each column has a worker: the one that has been told to leave for the longest has to.
local function evict()
  local shared, oldest = M.shared, nil
  for i = 0, most - 1 do
    local worker = shared.workers[i]
    if not oldest or worker.begun < oldest.begun then oldest = worker end
  end
  ngx.log(ngx.CRIT, "too many workers of former configurations have connections: the oldest one, ", oldest.pid, ", is ended")
  ffi.C.kill(oldest.pid, 9)
  for _ = 1, 500 do
    if gone(oldest) then break end
    ffi.C.usleep(1000)
  end
  clear()
  return free()
end

-- In a worker that begins: takes a column.
function M.claim()
  local shared = M.shared
  for _ = 1, 2000 do
    if dict:add("lock", true, 2) then break end
    ffi.C.usleep(1000)
  end
  M.started = ngx.now()
  clear()
  local own = free() or evict()
  if not own then error("there is no room to count what this worker has open") end
  local worker = shared.workers[own]
  worker.configuration, worker.begun, worker.leaving = M.configuration, M.started, 0
  worker.pid = ngx.worker.pid()
  if own >= shared.columns then shared.columns = own + 1 end
  local counts = own % kept
  if counts >= shared.counted then shared.counted = counts + 1 end
  dict:delete("lock")
  M.worker, M.column, M.counts = worker, shared.column[own], shared.counts[counts]
end

-- In a worker that takes no new connections any more.
function M.leave()
  M.worker.leaving = 1
end

-- Whether all who take connections have this worker's configuration: old workers do for a moment beside the new ones.
function M.settled()
  local shared = M.shared
  for i = 0, shared.columns - 1 do
    local worker = shared.workers[i]
    if worker.pid ~= 0 and worker.leaving == 0 and worker.configuration ~= M.configuration then return false end
  end
  return true
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
