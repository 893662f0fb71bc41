-- TeX sets a thin space between an operator such as log and what it is applied to. In MathML, older pandocs give operators
-- that browsers space widely on both sides, and newer ones none. As text with spaces of its own it looks the same in both.
local scripts = {'^%s*[_^]%b{}', '^%s*[_^]\\%a+', '^%s*[_^][^{\\%s]'}
local names = {'log', 'ln', 'det', 'exp'}

-- Each `operator`, a pattern, becomes \text{`name`}, which may be captured, with its index and power, and a thin space where
-- TeX has one.
local function as_text(formula, operator, name)
  local done, position = '', 1
  while true do
    local first, last, captured = formula:find(operator, position)
    if not first then return done .. formula:sub(position) end
    local before = (done .. formula:sub(position, first - 1)):gsub('%s+$', '')
    if before:match('[%w})%]]$') and not before:match('\\%a+$') then before = before .. '\\,' end
    done, position = before .. '\\text{' .. (name or captured) .. '}', last + 1
    for i = 0, 5 do -- twice, since there may be both
      local _, stop = formula:find(scripts[i % 3 + 1], position)
      if stop then done, position = done .. formula:sub(position, stop), stop + 1 end
    end
    local following = formula:match('^%s*(.?.?.?.?.?)', position)
    local bracket = following:match('^[(%[]') or following:match('^\\[bB]ig') or following:match('^\\left')
    if not bracket and following:match('^[^)%]},%s]') then
      done = done .. '\\,'
      position = formula:match('^%s*()', position)
    end
  end
end

function Math(formula)
  for _, name in ipairs(names) do formula.text = as_text(formula.text, '\\' .. name .. '%f[%A]', name) end
  formula.text = as_text(formula.text, '\\operatorname{(%a+)}')
  return formula
end
