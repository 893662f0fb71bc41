-- Formulas become MathML here, without the TeX that pandoc keeps in it: the index of the search would hold both.
function Math(formula)
  local html = pandoc.write(pandoc.Pandoc({pandoc.Plain({formula})}), 'html', {html_math_method = 'mathml'})
  return pandoc.RawInline('html', (html:gsub('<annotation.-</annotation>', '')))
end
