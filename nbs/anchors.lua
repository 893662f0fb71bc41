-- nbdev turns a name in backticks into a link to `page.html#name`, or `#class.method`. Where the page has no heading of that
-- name, an anchor is put before the code that defines it; at its class, or at the top of the page, if that code is not shown.
-- Where signatures are shown, below headings of their own, the source is folded. A signature that says nothing, as of a named
-- tuple, is left out, and the source stands open in its place.

local function read(path)
  local file = io.open(path)
  if not file then return '' end
  local text = file:read('a')
  file:close()
  return text
end

-- The names that lead to a page, in order of the module, and the module's source, from the index that nbdev keeps.
local function names_of(page, root)
  local package = read(pandoc.path.join({root, 'settings.ini'})):match('\nlib_path%s*=%s*(%S+)') or ''
  local names, source = {}, ''
  local index = read(pandoc.path.join({root, package, '_modidx.py'}))
  for address, name, file in index:gmatch("%(%s*'([^'#]+)#([^']+)',%s*'([^']+)'%s*%)") do
    if address == page then
      names[#names + 1] = name
      if source == '' then source = read(pandoc.path.join({root, file})) end
    end
  end
  return names, source
end

-- The names of the classes, methods and functions that a piece of code defines at its top level.
local function defined_in(code)
  local found, class = {}, nil
  for line in code:gmatch('[^\n]+') do
    local name = line:match('^class ([%w_]+)')
    local method = line:match('^    def ([%w_]+)') or line:match('^    async def ([%w_]+)')
    if name then class = name elseif line:match('^[^%s#)]') then class = nil end
    name = name or line:match('^def ([%w_]+)') or line:match('^async def ([%w_]+)') or (class and method and class .. '.' .. method)
    if name then found[#found + 1] = name:lower() end
  end
  return found
end

local function anchors(names)
  local spans = pandoc.List()
  for _, name in ipairs(names) do spans:insert(pandoc.Span({}, {id = name})) end
  return pandoc.Plain(spans)
end

function Pandoc(doc)
  local file = quarto and quarto.doc.input_file or pandoc.utils.stringify(doc.meta['input-file'] or '')
  local page = pandoc.path.filename(file):lower():gsub('^%d+%w*_', ''):gsub('%.%w+$', '.html')
  local names, source = names_of(page, quarto and pandoc.path.join({quarto.project.directory, '..'}) or '.')

  local taken = {} -- the identifiers that there are
  local function take(element) if element.identifier ~= '' then taken[element.identifier] = true end end
  doc:walk({Header = take, Div = take, Span = take, CodeBlock = take})

  local places = {} -- of a name: the code that defines it. What the module holds is the definition, not an example of the same name.
  for _, in_module in ipairs({true, false}) do
    doc:walk({CodeBlock = function(block)
      if not block.classes:includes('cell-code') or in_module ~= (source:find(block.text, 1, true) ~= nil) then return end
      for _, name in ipairs(defined_in(block.text)) do places[name] = places[name] or block.text end
    end})
  end

  local function missing(belong)
    local found = pandoc.List(names):filter(function(name) return not taken[name] and belong(name) end)
    for _, name in ipairs(found) do taken[name] = true end
    return found
  end
  local function defined_by(element)
    local found = {}
    pandoc.Div(element):walk({CodeBlock = function(block)
      for _, name in ipairs(defined_in(block.text)) do found[name] = places[name] == block.text end
    end})
    return missing(function(name) return found[name] end)
  end
  local headings = {}
  if not doc.meta.skip_showdoc then for name in pairs(taken) do headings[name] = true end end
  doc = doc:walk({CodeBlock = function(block)
    local name = block.text:match('^%s*def ([%w_]+)%(%s*%*args, %*%*kwargs%s*%):%s*$')
    if name and headings[name:lower()] then
      headings[name:lower()] = nil
      return {}
    end
  end})
  doc = doc:walk({CodeBlock = function(block)
    local first = defined_in(block.text)[1]
    if not headings[first] or places[first] ~= block.text or block.attributes['code-fold'] or not source:find(block.text, 1, true) then return end
    block.attributes['code-fold'], block.attributes['code-summary'] = 'true', 'Source'
    return block
  end})
  doc = doc:walk({
    traverse = 'topdown',
    Blocks = function(blocks)
      local all = pandoc.List()
      for _, block in ipairs(blocks) do
        local found = (block.t == 'CodeBlock' or block.t == 'Div' and block.classes:includes('cell')) and defined_by(block) or {}
        if #found > 0 then all:insert(anchors(found)) end
        all:insert(block)
        if block.t == 'Header' then
          local methods = missing(function(name) return not places[name] and name:match('^(.*)%.[^.]+$') == block.identifier end)
          if #methods > 0 then all:insert(anchors(methods)) end
        end
      end
      return all
    end,
  })
  local hidden = missing(function() return true end)
  if #hidden > 0 then doc.blocks:insert(1, anchors(hidden)) end
  return doc
end
