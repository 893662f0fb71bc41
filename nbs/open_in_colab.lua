-- A line at the top of each page that is made from a notebook, with a link that opens the notebook in Google Colab.
-- It needs an address on GitHub: as long as settings.ini has an empty git_url, pages stay as they are.

local function setting(name)
  for line in io.lines(pandoc.path.join({quarto.project.directory, '..', 'settings.ini'})) do
    local value = line:match('^' .. name .. '%s*=%s*(.-)%s*$')
    if value then return value end
  end
  return ''
end

function Pandoc(doc)
  local address, notebook = setting('git_url'), pandoc.path.filename(quarto.doc.input_file)
  local repository = address:match('^https://github%.com/([^/]+/[^/]+)$')
  if not repository or not notebook:match('%.ipynb$') then return nil end
  local target = table.concat({'https://colab.research.google.com/github', repository, 'blob', setting('branch'),
                               setting('nbs_path'), notebook}, '/')
  local install = '%pip install git+' .. address
  doc.blocks:insert(1, pandoc.Para({pandoc.Link('Open in Colab', target), pandoc.Str(', and run'), pandoc.Space(),
                                    pandoc.Code(install), pandoc.Space(), pandoc.Str('there first.')}))
  return doc
end
