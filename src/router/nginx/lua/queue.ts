/** `paas.queue`: requests that wait until an instance of their app has room. */
export const queueLua = String.raw`
local state = require "paas.state"
local tables = require "paas.table"
local requests = require "paas.requests"
local rare = require "paas.rare"

local ngx = ngx
local now, fail = ngx.now, rare.fail
local enter, leave, choose = requests.enter, requests.leave, require("paas.route").choose
local dict = ngx.shared.paas
local M = {}

-- Requests of this worker that wait, by the slot that they are counted under; the oldest first.
local lines = {}

-- Takes a request out of its line.
function M.unwait(st)
  local slot = st.waits
  if not slot then return end
  st.waits = nil
  local column, line = state.column, lines[slot]
  column.waiting[slot] = column.waiting[slot] - 1
  for i = 1, #line do
    if line[i] == st then
      table.remove(line, i)
      break
    end
  end
  column.oldest[slot] = line[1] and line[1].since or 0
  if not line[1] then lines[slot] = nil end
end

local function wait(st, slot)
  local column, line = state.column, lines[slot]
  if not line then
    line = {}
    lines[slot] = line
  end
  ngx.update_time()
  st.waits, st.since = slot, now()
  line[#line + 1] = st
  column.waiting[slot] = column.waiting[slot] + 1
  column.oldest[slot] = line[1].since
end

-- Whether nobody in any worker waits for longer.
local function first(st)
  if lines[st.waits][1] ~= st then return false end
  local shared, slot = state.shared, st.waits
  for i = 0, shared.columns - 1 do
    local since = shared.column[i].oldest[slot]
    if since ~= 0 and since < st.since then return false end
  end
  return true
end

-- Has the request open at the endpoint, where that has room. It is counted before the look at the sum, with the
-- dictionary's lock as a fence between: of two workers that count at once at least one sees the other. Both may, and
-- then look once more.
local function take(st, ep, limit)
  local slot = ep.slot
  for _ = 1, 4 do
    enter(st, ep)
    dict:get("version")
    if state.open(slot) <= limit then return true end
    leave(st)
    dict:get("version")
    if state.open(slot) >= limit then return false end
  end
  return false
end

-- Has the request open at this endpoint, or at another one where somebody was faster.
local function seat(st, eps, ep, limit)
  if not ep then return false end
  if not limit then
    enter(st, ep)
    return true
  end
  for _ = 1, #eps do
    if take(st, ep, limit) then return true end
    local other = choose(eps, nil)
    if other == ep then return false end
    ep = other
  end
  return false
end

-- Behind an endpoint that refused: has the request open at another one with room, without waiting.
-- @return it, or nil
function M.move(st, limit)
  local refused, full = st.last, false
  for _ = 1, #st.eps do
    local other = choose(st.eps, st.tried)
    if not other then break end
    if take(st, other, limit) then return other end
    st.tried[other], full = true, true
  end
  st.last = refused
  if full then st.problem, st.values = "queueFull", { app = st.backend.app, flags = st.backend.flags } end
  return nil
end

-- Waits until an endpoint has room, and has the request open there.
-- @param ep the one to try first
function M.admit(st, backend, eps, ep)
  local limits = backend.limits
  local values = { app = backend.app, flags = backend.flags }
  local line = eps[1].slot
  if state.waiting(line) == 0 and seat(st, eps, ep, limits.concurrency) then return end
  if state.waiting(line) >= (limits.queue or 0) * #eps then return fail(st, "queueFull", values) end
  wait(st, line)
  local deadline = now() + (limits.queueMs or 10000) / 1000
  while true do
    if first(st) then
      -- The table may be another one by now.
      tables.sync()
      local fresh = tables.record(st.key)
      if fresh and fresh ~= backend then
        backend, st.backend = fresh, fresh
        eps = fresh.gray and require("paas.gray").select(st, fresh) or fresh.eps
        st.eps = eps
        limits = fresh.limits or {}
      end
      if seat(st, eps, choose(eps, nil), limits.concurrency) then return M.unwait(st) end
    end
    if now() >= deadline then
      M.unwait(st)
      return fail(st, "queueTimeout", values)
    end
    ngx.sleep(0.003)
  end
end

return M
`;
