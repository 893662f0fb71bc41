-- TeX sets a thin space between an operator such as log and what it is applied to; MathML does not, and 'log p' would read 'logp'.
local operators = {'log', 'ln', 'det'}

function Math(formula)
  for _, name in ipairs(operators) do
    formula.text = formula.text:gsub('(\\' .. name .. ')%f[%A]%s*([^%s(]?)', function(operator, following)
      return operator .. (following == '' and '' or '\\,') .. following
    end)
  end
  return formula
end
