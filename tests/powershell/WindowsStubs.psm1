<#
What only Windows has, for scripts that run under pwsh on another system: services, registry, networks, tasks.
State is a JSON file (STUB_STATE), so that a second run of a script sees what the first one left; every call that changes
something is a line in STUB_CALLS. Commands that are there on every system are not replaced, but for their drives HKLM:.
#>
Set-StrictMode -Version Latest

$State = ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($env:STUB_STATE))
$RealTestPath = Get-Command -Name 'Test-Path' -CommandType Cmdlet
$RealGetItemProperty = Get-Command -Name 'Get-ItemProperty' -CommandType Cmdlet

class VirtualHns {
    static [void] HNSCall([string]$Method, [string]$Path, [string]$Request, [ref]$Response) {
        $Response.Value = Invoke-VirtualHns -Request $Request
    }
}

function Save-Change {
    param([string]$Command, [object[]]$Arguments)
    $call = ConvertTo-Json -InputObject @{ command = $Command; arguments = @($Arguments) } -Compress -Depth 8
    [System.IO.File]::AppendAllText($env:STUB_CALLS, "$call`n")
    [System.IO.File]::WriteAllText($env:STUB_STATE, (ConvertTo-Json -InputObject $State -Depth 12))
}

function Set-Field {
    param($Target, [string]$Name, $Value)
    if ($null -ne $Target.PSObject.Properties[$Name]) { $Target.$Name = $Value; return }
    Add-Member -InputObject $Target -MemberType NoteProperty -Name $Name -Value $Value
}

function Get-Field {
    param($Target, [string]$Name)
    if ($null -eq $Target.PSObject.Properties[$Name]) { return $null }
    return , $Target.$Name
}

function Stop-Missing {
    param($Cmdlet, [string]$Message)
    # The preference of a calling script does not reach into a module; a real cmdlet sees it.
    if ($Cmdlet.MyInvocation.BoundParameters.ContainsKey('ErrorAction')) { return }
    throw $Message
}

function Set-ExitCode {
    param([string]$Program)
    $code = Get-Field -Target $State.exitCodes -Name $Program
    $global:LASTEXITCODE = if ($null -eq $code) { 0 } else { [int]$code }
    return $global:LASTEXITCODE -eq 0
}

# --- programs
function netsh.exe {
    $words = @($args | ForEach-Object { $_ })
    if (-not (Set-ExitCode -Program 'netsh')) { return }
    if ($words -contains 'show') {
        'Protocol tcp Dynamic Port Range'
        "Start Port      : $($State.dynamicPorts[0])"
        "Number of Ports : $($State.dynamicPorts[1])"
        return
    }
    $State.dynamicPorts = @(
        [int]($words -like 'start=*')[0].Substring(6), [int]($words -like 'num=*')[0].Substring(4)
    )
    Save-Change -Command 'netsh' -Arguments $words
}

function powercfg.exe {
    $words = @($args | ForEach-Object { $_ })
    if (-not (Set-ExitCode -Program 'powercfg')) { return }
    if ($words -contains '/getactivescheme') { return "Power Scheme GUID: $($State.powerPlan)  (Any)" }
    $State.powerPlan = $words[-1]
    Save-Change -Command 'powercfg' -Arguments $words
    'Something that is shown'
}

function icacls.exe {
    $words = @($args | ForEach-Object { $_ })
    if (Set-ExitCode -Program 'icacls') { Save-Change -Command 'icacls' -Arguments $words }
}

function tar.exe {
    $words = @($args | ForEach-Object { "$_".Replace('C:', $env:PWSH_DRIVE_C).Replace('\', '/') })
    & tar $words
}

function sc.exe {
    $words = @($args | ForEach-Object { $_ })
    if (-not (Set-ExitCode -Program 'sc')) { return }
    # Windows PowerShell 5.1 hands quotes inside of an argument on as they are, and sc.exe gets other words.
    if (@($words | Where-Object { "$_".Contains('"') }).Count -gt 0) { $global:LASTEXITCODE = 1639; return }
    $path = "HKLM:\SYSTEM\CurrentControlSet\Services\$($words[1])"
    $key = Get-Field -Target $State.registry -Name $path
    if ($null -eq $key) { $global:LASTEXITCODE = 1060; return }
    if ($words[0] -eq 'delete') {
        $State.registry.PSObject.Properties.Remove($path)
        $State.services.PSObject.Properties.Remove($words[1])
    }
    $values = @{}
    for ($index = 2; $index -lt $words.Count - 1; $index++) {
        if ("$($words[$index])".EndsWith('=')) { $values["$($words[$index])".TrimEnd('=')] = $words[$index + 1] }
    }
    if ($words[0] -eq 'failureflag') { Set-Field -Target $key -Name 'FailureActionsOnNonCrashFailures' -Value ([int]$words[2]) }
    if ($words[0] -eq 'config') {
        if ($values.start -eq 'auto') { Set-Field -Target $key -Name 'Start' -Value 2 }
        $needs = @("$($values.depend)".Split('/') | Where-Object { $_ })
        Set-Field -Target $key -Name 'DependOnService' -Value $needs
        Set-Field -Target $key -Name 'DisplayName' -Value $values.DisplayName
    }
    Save-Change -Command 'sc' -Arguments $words
}

# --- registry
function Test-Path {
    [CmdletBinding()]
    param([Parameter(Position = 0, ValueFromPipeline = $true)][string]$Path)
    process {
        if ($Path -like 'HKLM:*') { return $null -ne $State.registry.PSObject.Properties[$Path] }
        & $RealTestPath -Path $Path
    }
}

function Get-ItemProperty {
    [CmdletBinding()]
    param([string]$Path)
    if ($Path -like 'HKLM:*') { return Get-Field -Target $State.registry -Name $Path }
    & $RealGetItemProperty -Path $Path
}

function New-ItemProperty {
    [CmdletBinding()]
    param([string]$Path, [string]$Name, [string]$PropertyType, $Value, [switch]$Force)
    Set-Field -Target (Get-Field -Target $State.registry -Name $Path) -Name $Name -Value $Value
    Save-Change -Command 'New-ItemProperty' -Arguments @($Path, $Name, $PropertyType, $Value, [bool]$Force)
}

function Remove-ItemProperty {
    [CmdletBinding()]
    param([string]$Path, [string]$Name)
    (Get-Field -Target $State.registry -Name $Path).PSObject.Properties.Remove($Name)
    Save-Change -Command 'Remove-ItemProperty' -Arguments @($Path, $Name)
}

# --- services
function Get-Service {
    [CmdletBinding()]
    param([string]$Name)
    $found = Get-Field -Target $State.services -Name $Name
    if ($null -eq $found) { Stop-Missing -Cmdlet $PSCmdlet -Message "Cannot find any service with service name '$Name'."; return }
    return [pscustomobject]@{ Name = $Name; Status = $found }
}

function New-Service {
    [CmdletBinding()]
    param([string]$Name, [string]$BinaryPathName, [string]$StartupType)
    $key = [pscustomobject]@{ ImagePath = $BinaryPathName; Start = 2 }
    Set-Field -Target $State.registry -Name "HKLM:\SYSTEM\CurrentControlSet\Services\$Name" -Value $key
    Set-Field -Target $State.services -Name $Name -Value 'Stopped'
    Save-Change -Command 'New-Service' -Arguments @($Name, $BinaryPathName, $StartupType)
    return [pscustomobject]@{ Name = $Name }
}

function Set-VirtualService {
    param([string]$Command, [string]$Name, [string]$Status)
    if ($State.brokenServices -contains $Name) { throw "Failed to $($Command.Split('-')[0].ToLower()) service '$Name'." }
    if ($State.stuckServices -notcontains $Name) { Set-Field -Target $State.services -Name $Name -Value $Status }
    if ($Status -eq 'Running') { Set-Field -Target $State.started -Name $Name -Value ([datetime]::UtcNow.Ticks) }
    Save-Change -Command $Command -Arguments @($Name)
}

function Start-Service { [CmdletBinding()] param([string]$Name) Set-VirtualService 'Start-Service' $Name 'Running' }
function Stop-Service { [CmdletBinding()] param([string]$Name, [switch]$Force) Set-VirtualService 'Stop-Service' $Name 'Stopped' }
function Restart-Service { [CmdletBinding()] param([string]$Name, [switch]$Force) Set-VirtualService 'Restart-Service' $Name 'Running' }

function Get-CimInstance {
    [CmdletBinding()]
    param([string]$ClassName, [string]$Filter)
    $name = $Filter.Split("'")[1]
    $status = Get-Field -Target $State.services -Name $name
    if ($null -eq $status) { return }
    $id = if ($status -eq 'Running') { 1000 + @($State.services.PSObject.Properties.Name).IndexOf($name) } else { 0 }
    return [pscustomobject]@{ CimClass = $ClassName; Name = $name; ProcessId = $id }
}

function Get-Process {
    [CmdletBinding()]
    param([int]$Id)
    $name = @($State.services.PSObject.Properties.Name)[$Id - 1000]
    $started = [datetime]::new((Get-Field -Target $State.started -Name $name), 'Utc').ToLocalTime()
    return [pscustomobject]@{ Id = $Id; StartTime = $started }
}

function Invoke-CimMethod {
    [CmdletBinding()]
    param($InputObject, [string]$MethodName, [hashtable]$Arguments)
    $code = if (Set-ExitCode -Program 'Win32_Service') { 0 } else { $global:LASTEXITCODE }
    if ($code -eq 0) {
        $key = Get-Field -Target $State.registry -Name "HKLM:\SYSTEM\CurrentControlSet\Services\$($InputObject.Name)"
        Set-Field -Target $key -Name 'ImagePath' -Value $Arguments.PathName
        Save-Change -Command $MethodName -Arguments @($InputObject.Name, $Arguments.PathName)
    }
    return [pscustomobject]@{ ReturnValue = $code }
}

# --- Defender
function Get-MpPreference { return [pscustomobject]@{ ExclusionPath = $State.exclusions } }
function Add-MpPreference {
    [CmdletBinding()]
    param([string[]]$ExclusionPath)
    $State.exclusions = @($State.exclusions) + $ExclusionPath
    Save-Change -Command 'Add-MpPreference' -Arguments $ExclusionPath
}
function Remove-MpPreference {
    [CmdletBinding()]
    param([string[]]$ExclusionPath)
    $State.exclusions = @($State.exclusions | Where-Object { $ExclusionPath -notcontains $_ })
    Save-Change -Command 'Remove-MpPreference' -Arguments $ExclusionPath
}

# --- networks, as Windows' HostNetworkingService module has them: it cannot make one
function Get-HnsNetwork { return $State.networks | ForEach-Object { $_ } }
function Invoke-VirtualHns {
    param([string]$Request)
    if ($State.hnsError) { return ConvertTo-Json -InputObject @{ Success = $false; Error = $State.hnsError } -Compress }
    $State.networks = @($State.networks) + (ConvertFrom-Json -InputObject $Request)
    Save-Change -Command 'HNSCall' -Arguments @($Request)
    return '{"Success":true,"Output":{}}'
}

function Add-Type {
    [CmdletBinding()]
    param(
        [string]$MemberDefinition, [string]$Namespace, [string]$Name, [switch]$PassThru,
        [string]$TypeDefinition, [string[]]$ReferencedAssemblies, [string]$OutputAssembly, [string]$OutputType
    )
    if ($PassThru) { return [VirtualHns] }
    Set-Content -Path $OutputAssembly -Value 'a program' -Encoding Ascii
    Save-Change -Command 'Add-Type' -Arguments @($OutputAssembly, $OutputType)
}

function Get-NetIPAddress {
    [CmdletBinding()]
    param([string]$IPAddress)
    $found = @($State.addresses | Where-Object { $_.IPAddress -eq $IPAddress })
    if ($found.Count -eq 0) { Stop-Missing -Cmdlet $PSCmdlet -Message "No MSFT_NetIPAddress objects found with IPAddress $IPAddress"; return }
    return $found
}

function Get-NetRoute {
    [CmdletBinding()]
    param([string]$DestinationPrefix)
    $found = @($State.routes | Where-Object { $_.DestinationPrefix -eq $DestinationPrefix })
    if ($found.Count -eq 0) { Stop-Missing -Cmdlet $PSCmdlet -Message "No MSFT_NetRoute objects found for $DestinationPrefix"; return }
    return $found
}

function New-NetRoute {
    [CmdletBinding()]
    param([string]$DestinationPrefix, [int]$InterfaceIndex, [string]$NextHop)
    $route = [pscustomobject]@{ DestinationPrefix = $DestinationPrefix; InterfaceIndex = $InterfaceIndex; NextHop = $NextHop }
    $State.routes = @($State.routes) + $route
    Save-Change -Command 'New-NetRoute' -Arguments @($DestinationPrefix, $InterfaceIndex, $NextHop)
}

function Remove-NetRoute {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(ValueFromPipeline = $true)]$InputObject)
    process {
        $State.routes = @($State.routes | Where-Object { $_ -ne $InputObject })
        Save-Change -Command 'Remove-NetRoute' -Arguments @($InputObject.DestinationPrefix, $InputObject.NextHop)
    }
}

# --- scheduled tasks
function New-ScheduledTaskAction { [CmdletBinding()] param([string]$Execute, [string]$Argument) return "$Execute $Argument" }
function New-ScheduledTaskTrigger { [CmdletBinding()] param([switch]$AtStartup) return "AtStartup=$AtStartup" }
function New-ScheduledTaskPrincipal { [CmdletBinding()] param([string]$UserId, [string]$RunLevel) return "$UserId $RunLevel" }
function Register-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName, $Action, $Trigger, $Principal, [switch]$Force)
    Set-Field -Target $State.tasks -Name $TaskName -Value 'Ready'
    Save-Change -Command 'Register-ScheduledTask' -Arguments @($TaskName, $Action, $Trigger, $Principal)
}
function Start-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName)
    Set-Field -Target $State.tasks -Name $TaskName -Value 'Running'
    Save-Change -Command 'Start-ScheduledTask' -Arguments @($TaskName)
}
function Get-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName)
    $found = Get-Field -Target $State.tasks -Name $TaskName
    if ($null -eq $found) { Stop-Missing -Cmdlet $PSCmdlet -Message "No task $TaskName"; return }
    return [pscustomobject]@{ TaskName = $TaskName; State = $found }
}
function Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([string]$TaskName)
    $State.tasks.PSObject.Properties.Remove($TaskName)
    Save-Change -Command 'Unregister-ScheduledTask' -Arguments @($TaskName)
}

Export-ModuleMember -Function * -Variable @()
