/** `paas.tls`: the certificate for a handshake, by the name that the client asks for (SNI). */
export const tlsLua = String.raw`
local ssl = require "ngx.ssl"
local tables = require "paas.table"

local ngx = ngx
local M = {}

-- Parsing a key takes longer than a request: what was made of a record is kept with it.
local function parsed(record)
  if not record.parsed then
    record.parsed = { assert(ssl.parse_pem_cert(record.chain)), assert(ssl.parse_pem_priv_key(record.key)) }
  end
  return record.parsed
end

function M.certificate()
  tables.sync()
  local name = ssl.server_name()
  local record
  if name then
    name = string.lower(name)
    record = tables.record("c:" .. name)
    if not record then
      local dot = string.find(name, ".", 1, true)
      record = dot and tables.record("c:*" .. string.sub(name, dot))
    end
  end
  -- Without a name, or with an unknown one, there is no answer that a client could believe.
  if not record then return ngx.exit(ngx.ERROR) end
  local ok, certificate = pcall(parsed, record)
  if not ok then
    ngx.log(ngx.CRIT, "a certificate cannot be used: ", certificate)
    return ngx.exit(ngx.ERROR)
  end
  ssl.clear_certs()
  if not ssl.set_cert(certificate[1]) or not ssl.set_priv_key(certificate[2]) then return ngx.exit(ngx.ERROR) end
end

return M
`;
