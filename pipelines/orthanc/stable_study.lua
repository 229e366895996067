-- Orthanc writes each study that is complete ("stable") into the folder that cxrbatch screens (docs/containers.md).
-- In orthanc.json: "LuaScripts": ["/etc/orthanc/stable_study.lua"]. Files are named by Orthanc's own hashes, and no line of
-- its log names a patient.

local FOLDER = os.getenv("CXRBATCH_EXPORT") or "/export/pacs"
-- Radiographs, and what does not say what it is. A CT would be refused image by image.
local MODALITIES = { CR = true, DX = true, RG = true, [""] = true }

local waiting = {} -- studies that could not be written; tried again with the next one

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- The whole file or none: cxrbatch leaves alone what ends in .part.
local function write(path, content)
  local file = assert(io.open(path .. ".part", "wb"))
  local written, message = file:write(content)
  local closed = file:close()
  if not (written and closed and os.rename(path .. ".part", path)) then
    os.remove(path .. ".part")
    error(message or "cannot be written")
  end
end

local function export(study, only_missing)
  for _, series in ipairs(ParseJson(RestApiGet("/studies/" .. study .. "/series"))) do
    if MODALITIES[series.MainDicomTags.Modality or ""] then
      for _, instance in ipairs(series.Instances) do
        local path = FOLDER .. "/" .. instance .. ".dcm"
        if not (only_missing and exists(path)) then
          write(path, RestApiGet("/instances/" .. instance .. "/file"))
        end
      end
    end
  end
end

local function try(study, only_missing)
  local done = pcall(export, study, only_missing)
  waiting[study] = not done or nil
  if not done then print("cxrbatch: study " .. study .. " was not written to " .. FOLDER .. "; tried again with the next one") end
end

function OnStableStudy(study)
  for earlier in pairs(waiting) do
    if earlier ~= study then try(earlier, true) end
  end
  try(study, false)
end

-- What was not complete, or could not be written, when Orthanc ended: studies since yesterday, where files are missing.
function Initialize()
  local yesterday = os.date("%Y%m%d", os.time() - 24 * 3600)
  local query = { Level = "Study", Query = { StudyDate = yesterday .. "-" } }
  for _, study in ipairs(ParseJson(RestApiPost("/tools/find", DumpJson(query)))) do try(study, true) end
end
