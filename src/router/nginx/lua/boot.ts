/** `paas.boot`: what master and workers do when they begin and end. */
export const bootLua = String.raw`
local state = require "paas.state"
local settings = require "paas.settings"
local M = {}

-- In the master, also behind a reload, where memory and dictionary are what they were.
function M.master()
  local dict = ngx.shared.paas
  if state.map() then
    dict:set("epoch", settings.epoch)
    require("paas.table").load(settings.directory .. "/table.txt")
  end
  -- Loaded once here rather than in each worker.
  for _, name in ipairs({ "requests", "native", "table", "rare", "route", "queue", "page", "logs", "answer", "gray", "admin", "tls" }) do
    require("paas." .. name)
  end
  -- What every request calls is found without a look into the modules.
  rawset(_G, "paas_route", require "paas.route")
  rawset(_G, "paas_answer", require "paas.answer")
end

function M.worker()
  state.claim()
  math.randomseed(ngx.now() * 1000 + ngx.worker.pid())
  local logs, answer = require "paas.logs", require "paas.answer"
  assert(ngx.timer.every(0.25, logs.flush))
  assert(ngx.timer.every(settings.sweepSeconds, answer.sweep))
end

function M.ending()
  require("paas.logs").flush()
end

return M
`;
