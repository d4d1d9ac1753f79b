/** `paas.requests`: what is remembered of a request from its head to its end. */
export const requestsLua = String.raw`
-- ngx.ctx is lost in internal redirects (pages, locations of an app's own), and with it what was counted: requests are
-- known by the address of nginx's own record, which stays.
local ffi = require "ffi"
local base = require "resty.core.base"
local state = require "paas.state"

local get, cast, tonumber = base.get_request, ffi.cast, tonumber
local number = ffi.typeof("uintptr_t")
local M = {}
local all = {}
local spare, spares = {}, 0
local new, clear = require "table.new", require "table.clear"
M.all = all

function M.key()
  return tonumber(cast(number, get()))
end
local key = M.key

function M.current()
  return all[key()]
end

-- @return the request's record; the one of before when it comes here again
function M.begin()
  local k = key()
  local st = all[k]
  if not st then
    st = spare[spares]
    if st then
      spare[spares] = nil
      spares = spares - 1
    else
      st = new(0, 16)
    end
    all[k] = st
  end
  return st
end

function M.finish()
  local k = key()
  local st = all[k]
  all[k] = nil
  return st
end

-- Gives a record back, of which nothing is used any more.
function M.free(st)
  clear(st)
  if spares < 1000 then
    spares = spares + 1
    spare[spares] = st
  end
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
end

return M
`;
