/** `paas.requests`: what is remembered of a request from its head to its end. */
export const requestsLua = String.raw`
-- ngx.ctx is lost in internal redirects (pages, locations of an app's own), and with it what was counted: requests are
-- known by the address of nginx's own record, which stays.
local ffi = require "ffi"
local request = require "thread.exdata"
local state = require "paas.state"

local cast, tonumber = ffi.cast, tonumber
local number = ffi.typeof("uintptr_t")
local M = {}
local all = {}
-- Records by address. One that is not live is of a request that has ended, and the next one there takes it. A plain one
-- has nothing but what route.begin gives it; whatever else looks at a request makes it a common one.
M.all = all

function M.key()
  local key = tonumber(cast(number, request()))
  return key
end
local key = M.key

function M.current()
  local st = all[key()]
  if not st or not st.live then return nil end
  st.plain = false
  return st
end
local current = M.current

-- @return the request's record; the one of before when it comes here again
function M.begin()
  local st = current()
  if not st then
    st = { live = true }
    all[key()] = st
  end
  return st
end

function M.finish()
  local st = current()
  all[key()] = nil
  return st
end

function M.enter(st, ep)
  st.ep = ep
  local open = state.column.open
  open[ep.slot] = open[ep.slot] + 1
end

function M.leave(st)
  local ep = st.ep
  if not ep then return end
  st.ep = nil
  st.last = ep
  local open = state.column.open
  open[ep.slot] = open[ep.slot] - 1
end

-- An app's own configuration sends the request through the router once more (error_page): the first instance is done.
function M.again(st)
  M.leave(st)
  st.asked, st.first, st.tried, st.sent, st.received, st.timedOut = nil, nil, nil, nil, nil, nil
  st.problem, st.values = nil, nil
end

return M
`;
